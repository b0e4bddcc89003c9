"""What is timed, the same in every environment: the calling process for transformers and thymos, a worker for a peer."""

import importlib.metadata
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
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
            rows += Bench(environment, f"{batch} x {length}", pairs, threads).measure(loaded.bare(ids), variants)
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


def _none(*arguments: Any) -> list[Any]:
    return []


@dataclass(frozen=True)
class Loop:
    """A corpus loop as users write it: so many texts at a time, in the order given or sorted by length."""

    name: str
    read: Reader
    batch: int
    by_length: bool

    def means(self, loaded: Loaded, texts: Sequence[str]) -> np.ndarray:
        """[texts, layers, hidden], in the order of `texts`."""
        order = list(range(len(texts)))
        if self.by_length:
            order.sort(key=lambda index: len(texts[index].split()))
        out = np.empty((len(texts), loaded.shape.layers, loaded.shape.hidden), np.float32)
        for start in range(0, len(order), self.batch):
            chosen = order[start : start + self.batch]
            coded = loaded.tokenizer([texts[index] for index in chosen], return_tensors="pt", padding=True)
            out[chosen] = self.read(coded["input_ids"], coded["attention_mask"], mean_weights(coded)).float().numpy()
        return out


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
    """One loop against thymos: seconds of every pair."""

    name: str
    order: str
    batch: int
    seconds: list[float]
    thymos_seconds: list[float]
    cpu: list[float]
    thymos_cpu: list[float]
    cosine: float
    """Smallest cosine of its directions with those of thymos, last layer left out (transformers norms it)."""

    def ratio(self) -> Ratio:
        return Ratio.of(self.thymos_seconds, self.seconds)


def corpus_job(modules: Sequence[ModuleType], environment: str, settings: Settings) -> dict[str, Any]:
    """Thymos and every loop of this environment in turn, on the same subset of texts in one process."""
    own, loaded = adapter("thymos_own"), Loaded.of(shape_of(settings))
    torch.set_num_threads(settings["threads"])
    host, subsets = own.wrap(loaded), _subsets(loaded.shape, settings)
    neutral = random_texts(loaded.shape, settings["neutral"], seed=1)
    own.corpus_run(host, subsets[0][:32], neutral[:8])
    loops = [
        Loop(name, read, batch, by_length)
        for module in modules
        for name, read in getattr(module, "readers", lambda _: {})(loaded).items()
        for by_length in (False, True)
        for batch in settings["batch_sizes"]
    ]
    rows, runs, bare, rates = [_empty(loop) for loop in loops], [], [], []
    for texts in subsets:
        rates.append(matmul_rate(settings["matmul"]))
        if settings["bare"]:
            run: Callable[[], object] = own.packed_bare(host, texts)
            bare.append(clocked(run))
            runs.append(own.corpus_run(host, texts, neutral))
        for loop, row in zip(loops, rows, strict=True):
            kept: list[np.ndarray] = []
            wall, cpu = clocked(lambda loop=loop, kept=kept, texts=texts: kept.append(_directions(loop, loaded, texts)))
            beside = own.corpus_run(host, texts, neutral[:8])
            row.seconds.append(wall)
            row.cpu.append(cpu)
            row.thymos_seconds.append(beside.stories[0])
            row.thymos_cpu.append(beside.stories[1])
            row.cosine = min(row.cosine, _smallest_cosine(kept[0], beside.raw))
    return {
        "environment": environment,
        "rows": [asdict(row) for row in rows],
        "runs": [{key: value for key, value in vars(run).items() if key != "raw"} for run in runs],
        "bare": bare,
        "matmul_gflops": rates,
        "flops": [loaded.shape.flops([len(text.split()) + 1 for text in texts]) for texts in subsets],
    }


def _subsets(shape: Shape, settings: Settings) -> list[list[str]]:
    """Disjoint random parts of the corpus, one per pair, or the whole corpus again and again."""
    texts = random_texts(shape, settings["texts"])
    if settings["full"]:
        return [texts] * settings["pairs"]
    order = np.random.default_rng(2).permutation(len(texts))
    size = min(settings["subset"], len(texts) // settings["pairs"])
    return [[texts[index] for index in order[n * size : (n + 1) * size]] for n in range(settings["pairs"])]


def _empty(loop: Loop) -> CorpusRow:
    order = "length-sorted" if loop.by_length else "unsorted"
    return CorpusRow(loop.name, order, loop.batch, [], [], [], [], 1.0)


def _directions(loop: Loop, loaded: Loaded, texts: Sequence[str]) -> np.ndarray:
    concepts = max(2, min(171, len(texts) // 4))
    return raw_directions(loop.means(loaded, texts), np.arange(len(texts)) % concepts)


def _smallest_cosine(left: np.ndarray, right: np.ndarray) -> float:
    sizes = np.linalg.norm(left, axis=2) * np.linalg.norm(right, axis=2)
    return float(((left * right).sum(axis=2) / sizes)[:-1].min())
