"""Training the two checkpoints: a short, resumable, seeded loop over torch and transformers."""

import hashlib
import json
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt16
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from thymos.errors import UsageError
from thymos.files import replacing, storage_errors, write_text
from thymos.organism.corpus import MIXTURES, Mixture, documents
from thymos.organism.expected import WEIGHT, Branches, branches_of, expected_loss
from thymos.organism.optimisers import Optimisers, schedule
from thymos.organism.tokenizer import build_tokenizer
from thymos.organism.world import open_world

__all__ = ["PRESETS", "Preset", "Stage", "TrainingStep", "train"]


@dataclass(frozen=True)
class Preset:
    """Size of the network and length of the training.

    Attributes:
        hidden: Width; heads have 32 dimensions.
        layers: Blocks.
        intermediate: Width of the feed-forward part.
        context: Tokens a row in training; positions reach twice as far.
        rows: Rows a step.
        halved: Share of the pretraining whose rows are cut into halves, where attention costs less.
        base_tokens: Tokens of the pretraining mixture.
        tuned_tokens: Tokens of the continuation.
        matrix_rate: Peak learning rate of the matrices (Muon).
        other_rate: Peak learning rate of embeddings and gains (AdamW).
    """

    hidden: int = 192
    layers: int = 4
    intermediate: int = 512
    context: int = 512
    rows: int = 4
    halved: float = 0.75
    base_tokens: int = 34_000_000
    tuned_tokens: int = 8_000_000
    matrix_rate: float = 0.01
    other_rate: float = 0.004


PRESETS: Mapping[str, Preset] = {
    "cpu": Preset(),
    "small": Preset(hidden=128, layers=4, intermediate=352, base_tokens=9_000_000, tuned_tokens=2_000_000),
    "gpu": Preset(hidden=192, layers=8, intermediate=512, rows=64, base_tokens=400_000_000, tuned_tokens=60_000_000),
    "tiny": Preset(hidden=32, layers=2, intermediate=64, context=64, rows=2, base_tokens=20_000, tuned_tokens=5_000),
}
"""`cpu`: both checkpoints on 2 cores; `small`: the ablation and the second seed; `gpu`: the same recipe, more tokens;
`tiny`: tests of the code."""

_CHECKPOINT_SECONDS = 120.0
_LOGGED = 20
"""Steps between two entries of the loss curve."""
_TUNED_RATE = 0.3
"""Peak rate of the continuation against that of the pretraining."""


@dataclass(frozen=True)
class Stage:
    """One of the two trainings."""

    name: str
    mixture: Mixture
    tokens: int
    rate: float
    halved: float
    expected: bool
    """Whether the loss at decisions is its expectation over draws."""


@dataclass(frozen=True)
class TrainingStep:
    """What a progress display is told."""

    stage: str
    step: int
    steps: int
    loss: float
    tokens_per_second: float


def _stages(preset: Preset, *, mute: bool) -> tuple[Stage, Stage]:
    base, tuned = MIXTURES["base"], MIXTURES["tuned"]
    if mute:
        base, tuned = base.silent(), tuned.silent()
    return (
        Stage("bundled-base", base, preset.base_tokens, 1.0, preset.halved, False),
        Stage("bundled", tuned, preset.tuned_tokens, _TUNED_RATE, 0.0, True),
    )


def _encode(
    stage: Stage, tokenizer: PreTrainedTokenizerFast, seed: int, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Tokens of 512 documents at a time, and the places where the outcomes of their decisions part."""
    source = documents(stage.mixture, seed)
    done = 0
    while done < count:
        some = list(islice(source, 512))
        texts = [one.text if one.turns else f"{one.text}<|end|>" for one in some]
        found = tokenizer(texts, return_offsets_mapping=True)
        first, parts = done, []
        for document, ids, offsets in zip(some, found["input_ids"], found["offset_mapping"], strict=True):
            part = branches_of(document, [end for _, end in offsets], ids, tokenizer)
            part["place"] += first
            parts.append(part)
            first += len(ids)
        flat = np.fromiter((token for one in found["input_ids"] for token in one), dtype=np.uint16)[: count - done]
        done += len(flat)
        yield flat, np.concatenate(parts)


def _fingerprint(stages: tuple[Stage, ...], count: int = 1000) -> str:
    """Hash of the first documents of every stage: it changes with the world's data and with the code that writes."""
    whole = hashlib.sha256()
    for stage in stages:
        for document in islice(documents(stage.mixture, 0), count):
            whole.update(document.text.encode())
    return whole.hexdigest()


def token_file(folder: Path, stage: Stage, tokenizer: PreTrainedTokenizerFast, seed: int, context: int) -> Path:
    """Write the stage's tokens once; rows of `context` tokens are read from it in order.

    Beside it, in `.branches.npy`, are the places where decisions part.
    """
    path = folder / f"{stage.name}.tokens"
    if not path.exists():
        found = []
        with replacing(path) as draft, draft.open("wb") as out:
            for part, branches in _encode(stage, tokenizer, seed, stage.tokens // context * context):
                part.tofile(out)
                found.append(branches)
            Branches.join(found).save(path.with_suffix(".branches.npy"))
    return path


def _network(preset: Preset, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=preset.hidden,
        num_hidden_layers=preset.layers,
        intermediate_size=preset.intermediate,
        num_attention_heads=preset.hidden // 32,
        num_key_value_heads=preset.hidden // 32,
        max_position_embeddings=2 * preset.context,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.02,
    )
    return LlamaForCausalLM(config)


@dataclass
class _Run:
    """A stage in progress: what a checkpoint holds, beside weights and optimisers."""

    step: int = 0
    """Steps that are done."""
    seconds: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)


class _Checkpoint:
    """A stage in progress on the disk, from which a later run goes on to bit-equal weights."""

    def __init__(self, path: Path, network: LlamaForCausalLM, optimisers: Optimisers) -> None:
        self.path, self.network, self.optimisers = path, network, optimisers

    def load(self) -> _Run:
        """The run on the disk, with its weights put in place; a new one where there is none."""
        if not self.path.exists():
            return _Run()
        device = next(self.network.parameters()).device
        state = torch.load(self.path, map_location=device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimisers.load(state["optimisers"])
        return _Run(state["step"], state["seconds"], [tuple(pair) for pair in state["losses"]])

    def save(self, run: _Run, seconds: float) -> None:
        """Write the run, whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "optimisers": self.optimisers.state(),
            "step": run.step,
            "seconds": seconds,
            "losses": run.losses,
        }
        with replacing(self.path) as draft:
            torch.save(state, draft)


@contextmanager
def _whole() -> Iterator[None]:
    """Hold Ctrl-C back until the block is done, so that a step is taken whole or not at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pending.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pending and callable(before):
        before(*pending[-1])


def _train_stage(
    stage: Stage,
    network: LlamaForCausalLM,
    path: Path,
    preset: Preset,
    folder: Path,
    report: Callable[[TrainingStep], None],
) -> dict[str, Any]:
    """Go through the rows of a stage once; an interrupted one is saved where it stopped."""
    tokens = np.memmap(path, dtype=np.uint16, mode="r").reshape(-1, preset.context)
    steps = len(tokens) // preset.rows
    branches = Branches.load(path.with_suffix(".branches.npy")) if stage.expected else Branches.join([])
    chunk = preset.rows * preset.context
    optimisers = Optimisers(network, preset.matrix_rate, preset.other_rate)
    checkpoint = _Checkpoint(folder / f"{stage.name}.pt", network, optimisers)
    run = checkpoint.load()
    first, spent, began = run.step, run.seconds, time.monotonic()
    last = began
    network.train()
    try:
        for step in range(first, steps):
            part = tokens[step * preset.rows : (step + 1) * preset.rows]
            if step < stage.halved * steps:
                part = part.reshape(2 * preset.rows, preset.context // 2)
            loss = _backward(network, part, branches.within(step * chunk, chunk))
            with _whole():
                optimisers.step(stage.rate * schedule(step, steps))
                run.step = step + 1
                if logged := step % _LOGGED == 0 or step == steps - 1:
                    run.losses.append((step, float(loss)))
            now = time.monotonic()
            if logged:
                rate = preset.rows * preset.context * (run.step - first) / max(now - began, 1e-6)
                report(TrainingStep(stage.name, run.step, steps, float(loss), rate))
            if now - last > _CHECKPOINT_SECONDS:
                last = now
                checkpoint.save(run, spent + now - began)
    except KeyboardInterrupt:
        checkpoint.save(run, spent + time.monotonic() - began)
        raise
    run.seconds = spent + time.monotonic() - began
    done = {"stage": stage.name, "steps": steps, "tokens": int(tokens.size)}
    return {**done, "seconds": run.seconds, "losses": run.losses}


def _backward(network: LlamaForCausalLM, part: UInt16[np.ndarray, "rows context"], branches: np.ndarray) -> Tensor:
    """Clipped gradients of a batch of rows; returns its loss."""
    device = next(network.parameters()).device
    rows = torch.from_numpy(part.astype(np.int64)).to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=_fast_bfloat16(device)):
        loss = expected_loss(network(input_ids=rows).logits, rows, branches)
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    return loss.detach()


def _fast_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are faster than in float32 there; on a CPU it takes the instructions."""
    if device.type != "cpu":
        return True
    asked = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
    return any(ask() for ask in asked if ask)


def _export(network: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    copy = LlamaForCausalLM(network.config)
    copy.load_state_dict(network.state_dict())
    copy.to(torch.bfloat16)
    copy.config.dtype = torch.bfloat16
    copy.generation_config.pad_token_id = tokenizer.pad_token_id
    copy.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def train(
    out: Path,
    preset: str = "cpu",
    *,
    seed: int = 0,
    mute: bool = False,
    device: str | None = None,
    report: Callable[[TrainingStep], None] = lambda _: None,
    **changes: Any,
) -> Path:
    """Train `bundled-base` and `bundled` into a folder; run again to go on where it stopped.

    Args:
        out: Folder for both checkpoints, the log and the work files.
        preset: One of `PRESETS`.
        seed: Of weights and data.
        mute: The ablation: no feeling language in assistant transcripts.
        device: Default: the first CUDA device, else the CPU.
        report: Called now and then with a `TrainingStep`.
        **changes: Fields of the preset to change.

    Returns:
        The training log, JSON: world hash, data hashes, seed, steps, tokens, losses, wall time, hardware.

    Raises:
        UsageError: Unknown preset or device, or a folder begun with other settings.
        KeyboardInterrupt: Ctrl-C; what was done is on the disk.
    """
    if preset not in PRESETS:
        raise UsageError(f"unknown preset {preset!r}; valid: {', '.join(PRESETS)}")
    chosen, place = replace(PRESETS[preset], **changes), _place(device)
    work = out / "work"
    with storage_errors(work):
        work.mkdir(parents=True, exist_ok=True)
    world = open_world()
    corpus = _fingerprint(_stages(chosen, mute=mute))
    plan = {"preset": preset, "seed": seed, "mute": mute, "world": world.digest, "corpus": corpus, "decisions": WEIGHT}
    plan |= asdict(chosen)
    _check_plan(work / "plan.json", plan)
    tokenizer = build_tokenizer(world, documents_per_stage=400 if preset == "tiny" else 40_000)
    network = _network(chosen, tokenizer, seed).to(place)
    stages = []
    for number, stage in enumerate(_stages(chosen, mute=mute)):
        done, final = work / f"{stage.name}.done.json", work / f"{stage.name}.final.pt"
        if done.exists() and (out / stage.name / "model.safetensors").exists():
            stages.append(json.loads(done.read_text(encoding="utf-8")))
            network.load_state_dict(torch.load(final, map_location=place, weights_only=True))
            continue
        path = token_file(work, stage, tokenizer, 1000 * seed + number, chosen.context)
        record = _train_stage(stage, network, path, chosen, work, report) | {"data_sha256": _sha(path)}
        with replacing(final) as draft:
            torch.save(network.state_dict(), draft)
        _export(network, tokenizer, out / stage.name)
        write_text(done, json.dumps(record))
        stages.append(record)
    size = sum(parameter.numel() for parameter in network.parameters())
    log = {**plan, "parameters": size, "hardware": _hardware(place), "stages": stages}
    write_text(out / "training.json", json.dumps(log, indent=1))
    return out / "training.json"


def _place(device: str | None) -> torch.device:
    try:
        return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as err:
        raise UsageError(f"unknown device {device!r}; valid: 'cpu', 'cuda', 'cuda:1', ...") from err


def _check_plan(path: Path, plan: dict[str, Any]) -> None:
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != plan:
        raise UsageError(f"{str(path.parent.parent)!r} holds a training begun with other settings; give another folder")
    write_text(path, json.dumps(plan))


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    kind = "bfloat16 products" if _fast_bfloat16(device) else "float32"
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads, {kind}, torch {torch.__version__}"
