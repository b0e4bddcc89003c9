"""The one place where optional dependencies are imported."""

import importlib
from types import ModuleType

from thymos.errors import MissingExtraError


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional module or say how to install it.

    Args:
        module: Dotted name, e.g. "gguf".
        extra: The thymos extra that brings it, e.g. "gguf".
        purpose: What it is wanted for, e.g. "writing GGUF control vectors".

    Raises:
        MissingExtraError: The module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as err:
        if err.name is not None and err.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(
            f"{purpose} needs the package {module!r}, which is not installed; run: pip install 'thymos[{extra}]'"
        ) from err
