"""repeng: a ControlModel around the network. It has no capture of its own to time."""

import torch
from repeng import ControlModel, ControlVector
from torch import Tensor

from benchmarks.adapters import Loaded, greedy
from benchmarks.subject import directions
from benchmarks.timing import Variant


def generation(loaded: Loaded, ids: Tensor, new_tokens: int) -> list[Variant]:
    model = ControlModel(loaded.copy(), [loaded.layer])
    vector = ControlVector("llama", {loaded.layer: directions(loaded.shape, 1)[0]})
    model.set_control(vector, 0.5)

    def steer() -> object:
        with torch.inference_mode():
            return model.generate(**greedy(ids, new_tokens))

    return [Variant("repeng, one vector added", steer)]
