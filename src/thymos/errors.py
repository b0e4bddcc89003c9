"""Every exception thymos raises on purpose.

```
ThymosError                      anything below; the CLI prints its one line and exits with `exit_code`
├── UsageError                   an argument makes no sense (exit code 2)
│   ├── UnknownConceptError      a concept that is in neither the vocabulary nor the vector set
│   └── LayerError               a layer the model or the vector set does not have
├── CorpusError                  texts that are missing, empty, malformed or too short
├── ModelError                   a model that cannot be loaded or is not what was asked for
│   ├── UnknownArchitectureError no row in the layout table, and no block path given
│   └── SelfCheckError           the hook sites are not where the layout table says
├── ActivationError              NaN or infinity in a residual stream
├── ArtifactError                a vector set or a run folder that cannot be trusted
│   ├── SchemaError              unknown keys, missing keys, a newer schema
│   └── FingerprintMismatchError vectors of another model
├── MissingExtraError            an optional dependency is not installed
└── StorageError                 disk full, no permission
```

A message says what happened, the value seen, the valid values and the fix.
"""

import difflib
from collections.abc import Iterable


class ThymosError(Exception):
    """Base class of every error thymos raises on purpose."""

    exit_code: int = 1


class UsageError(ThymosError):
    """An argument makes no sense; nothing was started."""

    exit_code = 2


class UnknownConceptError(UsageError):
    """A concept that is in neither the vocabulary nor the vector set."""

    @classmethod
    def of(cls, seen: str, valid: Iterable[str], where: str) -> "UnknownConceptError":
        """Build the error with the nearest valid names.

        Args:
            seen: The name that was asked for.
            valid: All names that exist.
            where: What was searched, e.g. "this vector set".
        """
        names = list(valid)
        return cls(f"unknown concept {seen!r} in {where}{did_you_mean(seen, names)} ({len(names)} concepts are known)")


class LayerError(UsageError):
    """A layer the model or the vector set does not have."""


class CorpusError(ThymosError):
    """Texts that are missing, empty, malformed or too short."""


class ModelError(ThymosError):
    """A model that cannot be loaded or is not what was asked for."""


class UnknownArchitectureError(ModelError):
    """No row in the layout table, and no block path given."""


class SelfCheckError(ModelError):
    """The hook sites are not where the layout table says."""


class ActivationError(ThymosError):
    """NaN or infinity in a residual stream."""


class ArtifactError(ThymosError):
    """A vector set or a run folder that cannot be trusted."""


class SchemaError(ArtifactError):
    """Unknown keys, missing keys, or a schema newer than this version of thymos."""


class FingerprintMismatchError(ArtifactError):
    """Vectors that were made from another model."""


class MissingExtraError(ThymosError):
    """An optional dependency is not installed."""


class StorageError(ThymosError):
    """Disk full, or no permission to write."""


def did_you_mean(seen: str, valid: Iterable[str], most: int = 3) -> str:
    """A clause such as `; did you mean 'calm' or 'content'?`, or nothing when no name is near."""
    near = difflib.get_close_matches(seen, list(valid), n=most, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
