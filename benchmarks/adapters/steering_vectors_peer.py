"""steering-vectors: its two context managers, over transformers 4."""

import torch
from steering_vectors import SteeringVector, record_activations
from torch import Tensor

from benchmarks.adapters import Loaded, greedy
from benchmarks.subject import directions
from benchmarks.timing import Variant


def capture(loaded: Loaded, ids: Tensor) -> list[Variant]:
    other = loaded.copy()

    def record() -> object:
        with torch.inference_mode(), record_activations(other, layer_nums=[loaded.layer]) as recorded:
            other(ids)
        return recorded[loaded.layer][0]

    return [Variant("steering-vectors record_activations, one layer", record)]


def generation(loaded: Loaded, ids: Tensor, new_tokens: int) -> list[Variant]:
    other = loaded.copy()
    vector = SteeringVector({loaded.layer: torch.from_numpy(directions(loaded.shape, 1)[0]) * 0.5}, "decoder_block")

    def steer() -> object:
        with torch.inference_mode(), vector.apply(other):
            return other.generate(**greedy(ids, new_tokens))

    return [Variant("steering-vectors, one vector added", steer)]
