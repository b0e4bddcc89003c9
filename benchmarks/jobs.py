"""What is timed: in the calling process for transformers and thymos, in a worker of its own for each peer."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.adapters import Loaded, Reader, adapter
from benchmarks.subject import FIRST_TOKEN, FULL, TINY, Shape, random_ids, random_texts
from benchmarks.timing import Bench, Ratio, Timed, clocked

Settings = dict[str, Any]
_PACKAGES = (
    *("thymos", "torch", "transformers", "tokenizers", "numpy", "nnsight", "transformer-lens", "steering-vectors"),
    "repeng",
)


def shape_of(settings: Settings) -> Shape:
    return TINY if settings["tiny"] else FULL


def versions() -> dict[str, str]:
    """Versions of the packages that matter, where installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What it ran on, without names of hosts."""
    cpu = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.exists():
        lines = [line for line in described.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        cpu = lines[0].split(":", 1)[1].strip() if lines else cpu
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "blas": "mkl" if torch.backends.mkl.is_available() else "other",
    }


def capture_job(modules: Sequence[ModuleType], environment: str, settings: Settings) -> list[Timed]:
    """Forward passes of every batch shape and thread count against the bare network of this environment."""
    loaded, rows = Loaded.of(shape_of(settings)), list[Timed]()
    for batch, length in settings["batches"]:
        ids = random_ids(loaded.shape, batch, length)
        variants = [variant for module in modules for variant in getattr(module, "capture", _none)(loaded, ids)]
        # Short passes cost little and are noisy: three times as many pairs.
        pairs = settings["pairs"] * (3 if batch * length < 512 and not settings["tiny"] else 1)
        for threads in settings["threads"]:
            bench = Bench(environment, f"{batch} x {length}", pairs, threads)
            rows += bench.measure(loaded.bare(ids), variants, loaded.residual(ids))
    return rows


def generation_job(modules: Sequence[ModuleType], environment: str, settings: Settings) -> list[Timed]:
    """Greedy generation against the bare network of this environment."""
    loaded, rows = Loaded.of(shape_of(settings)), list[Timed]()
    prompt, new = settings["prompt_tokens"], settings["new_tokens"]
    for batch in settings["generation_batches"]:
        ids = random_ids(loaded.shape, batch, prompt)
        variants = [v for module in modules for v in getattr(module, "generation", _none)(loaded, ids, new)]
        for threads in settings["threads"]:
            bench = Bench(environment, f"{batch} x ({prompt} + {new})", settings["pairs"], threads)
            rows += bench.measure(loaded.bare_generation(ids, new), variants)
    return rows


def _none(*_: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Loop:
    """A corpus loop as users write it: so many texts at a time, in the order given or sorted by length."""

    name: str
    read: Reader
    batch: int
    by_length: bool

    def plan(self, texts: Sequence[str]) -> list[list[int]]:
        """Indices of the texts of each batch."""
        order = list(range(len(texts)))
        if self.by_length:
            order.sort(key=lambda index: len(texts[index].split()))
        return [order[start : start + self.batch] for start in range(0, len(order), self.batch)]

    def means(self, loaded: Loaded, texts: Sequence[str], plan: Sequence[Sequence[int]]) -> np.ndarray:
        """[texts of the plan, layers, hidden], in the order of the plan."""
        found = []
        for chosen in plan:
            coded = loaded.tokenizer([texts[index] for index in chosen], return_tensors="pt", padding=True)
            means = self.read(coded["input_ids"], coded["attention_mask"], mean_weights(coded))
            found.append(means.float().numpy())
        return np.concatenate(found)

    def directions(self, loaded: Loaded, texts: Sequence[str], plan: Sequence[Sequence[int]]) -> np.ndarray:
        """What is timed: from texts to centred concept means."""
        means = self.means(loaded, texts, plan)
        concepts = max(2, min(171, len(means) // 4))
        return raw_directions(means, np.arange(len(means)) % concepts)


def mean_weights(coded: Any) -> Tensor:
    """[batch, seq] float32: equal weights from the 20th content token on (BOS, at 0, is no content)."""
    mask = coded["attention_mask"].float()
    mask[:, :FIRST_TOKEN] = 0
    return mask / mask.sum(dim=1, keepdim=True)


def raw_directions(means: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[layers, concepts, hidden]: mean of text means per concept, centred over concepts."""
    concepts = np.stack([means[labels == label].mean(axis=0, dtype=np.float64) for label in range(labels.max() + 1)])
    return (concepts - concepts.mean(axis=0)).transpose(1, 0, 2)


def matmul_rate(size: int, repeats: int = 5) -> float:
    """GFLOP/s of the best of several square float32 products, with the threads that are set."""
    left, right = torch.rand(size, size), torch.rand(size, size)
    best = min(clocked(lambda: left @ right)[0] for _ in range(repeats + 1))
    return 2 * size**3 / best / 1e9


@dataclass
class CorpusRow:
    """One loop against thymos: seconds and tokens of every pair."""

    name: str
    order: str
    batch: int
    difference: float
    """Largest difference of its text means from those of thymos, as a share of the mean's norm; last layer left out
    (transformers norms it)."""
    waste: float
    """Share of positions that are padding, over the whole corpus."""
    tokens: list[int] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    thymos_tokens: list[int] = field(default_factory=list)
    thymos_wall: list[float] = field(default_factory=list)
    thymos_cpu: list[float] = field(default_factory=list)

    def ratio(self, clock: str = "wall") -> Ratio:
        """Seconds per token over those of thymos."""
        own: list[float] = getattr(self, f"thymos_{clock}")
        other: list[float] = getattr(self, clock)
        return Ratio.of(
            [seconds / tokens for seconds, tokens in zip(own, self.thymos_tokens, strict=True)],
            [seconds / tokens for seconds, tokens in zip(other, self.tokens, strict=True)],
        )


def corpus_job(modules: Sequence[ModuleType], environment: str, settings: Settings) -> dict[str, Any]:
    """Thymos and every loop of this environment in turn, in one process.

    Each reads the batches that its own plan of the whole corpus makes: all of them, or every n-th, so that a part is
    padded like the whole. Times are per token for that reason.
    """
    own, loaded = adapter("thymos_own"), Loaded.of(shape_of(settings))
    torch.set_num_threads(settings["threads"])
    host, texts = own.wrap(loaded), random_texts(loaded.shape, settings["texts"])
    neutral = random_texts(loaded.shape, settings["neutral"], seed=1)
    packed = own.plan(texts, settings["batch_tokens"])
    loops = [
        Loop(name, read, batch, by_length)
        for module in modules
        for name, read in getattr(module, "readers", _none)(loaded).items()
        for by_length in (False, True)
        for batch in settings["batch_sizes"]
    ]
    rows, runs, bare, rates = [_begun(loop, own, host, texts) for loop in loops], [], [], []
    for pair in range(settings["pairs"]):
        part = [texts[index] for index in sorted(index for batch in sampled(packed, pair, settings) for index in batch)]
        rates.append(matmul_rate(settings["matmul"]))
        if settings["bare"]:
            bare.append(clocked(own.packed_bare(host, part, settings["batch_tokens"])))
            runs.append(own.corpus_run(host, part, neutral, settings["batch_tokens"]))
        for loop, row in zip(loops, rows, strict=True):
            plan = sampled(loop.plan(texts), pair, settings)
            wall, cpu = clocked(partial(loop.directions, loaded, texts, plan))
            beside = own.corpus_run(host, part, neutral[:8], settings["batch_tokens"])
            row.tokens.append(sum(length(texts[index]) for batch in plan for index in batch))
            row.wall.append(wall)
            row.cpu.append(cpu)
            row.thymos_tokens.append(beside.tokens)
            row.thymos_wall.append(beside.stories[0])
            row.thymos_cpu.append(beside.stories[1])
    return {
        "environment": environment,
        "rows": [asdict(row) for row in rows],
        "runs": [asdict(run) for run in runs],
        "bare": bare,
        "matmul_gflops": rates,
        "waste": waste(packed, texts),
    }


def length(text: str) -> int:
    """Tokens of a text of ours: its words, and BOS."""
    return len(text.split()) + 1


def waste(plan: Sequence[Sequence[int]], texts: Sequence[str]) -> float:
    """Share of fed positions that are padding."""
    lengths = [[length(texts[index]) for index in batch] for batch in plan]
    return 1 - sum(map(sum, lengths)) / sum(len(batch) * max(batch) for batch in lengths)


def sampled(plan: Sequence[Sequence[int]], pair: int, settings: Settings) -> Sequence[Sequence[int]]:
    """Every n-th batch of a plan, from another start for every pair; the whole plan when `full`."""
    if settings["full"]:
        return plan
    step = max(1, min(settings["texts"] // settings["subset"], len(plan) // 2))
    return plan[(pair * step) // settings["pairs"] % step :: step]


def _begun(loop: Loop, own: ModuleType, host: Any, texts: Sequence[str]) -> CorpusRow:
    """A row without times, its loop warmed up and compared with thymos on one batch."""
    loaded = Loaded(Shape.like(host.network.config), host.network, host.tokenizer)
    first = list(range(loop.batch))
    found = loop.means(loaded, texts, [first])[:, :-1]
    expected = own.means(host, [texts[index] for index in first])[:, :-1]
    sizes = np.linalg.norm(expected, axis=2)
    difference = float((np.linalg.norm(found - expected, axis=2) / sizes).max())
    order = "length-sorted" if loop.by_length else "unsorted"
    return CorpusRow(loop.name, order, loop.batch, difference, waste(loop.plan(texts), texts))
