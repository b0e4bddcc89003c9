"""nnsight: tracing, with and without its early exit, and steering inside its generation loop."""

import copy

import torch
from nnsight import TransformersModel
from torch import Tensor

from benchmarks.adapters import Loaded, Reader, greedy
from benchmarks.subject import directions
from benchmarks.timing import Variant


def _wrap(loaded: Loaded) -> TransformersModel:
    # It turns the padding side of the tokenizer it is given to the left.
    return TransformersModel(loaded.copy(), tokenizer=copy.deepcopy(loaded.tokenizer))


def capture(loaded: Loaded, ids: Tensor) -> list[Variant]:
    model, layer = _wrap(loaded), loaded.layer

    def trace_and_stop() -> object:
        with torch.inference_mode(), model.trace(ids) as tracer:
            kept = model.model.layers[layer].output.save()
            tracer.stop()
        return kept

    def trace() -> object:
        with torch.inference_mode(), model.trace(ids):
            kept = model.model.layers[layer].output.save()
        return kept  # noqa: RET504 - the trace ends with its block

    return [
        Variant("nnsight trace + stop, one layer at 2/3", trace_and_stop),
        Variant("nnsight trace, one layer at 2/3", trace),
    ]


def generation(loaded: Loaded, ids: Tensor, new_tokens: int) -> list[Variant]:
    model, layer = _wrap(loaded), loaded.layer
    vector = torch.from_numpy(directions(loaded.shape, 1)[0]) * 0.5
    probes = torch.from_numpy(directions(loaded.shape, 171, seed=1)).T.contiguous()
    arguments = greedy(ids, new_tokens)
    fed = {"input_ids": arguments.pop("input_ids"), "attention_mask": arguments.pop("attention_mask")}

    def steer() -> object:
        with torch.inference_mode(), model.generate(fed, **arguments) as tracer:
            for _ in tracer.iter[:new_tokens]:
                block = model.model.layers[layer]
                block.output = block.output + vector
        return tracer

    def read() -> object:
        with torch.inference_mode(), model.generate(fed, **arguments) as tracer:
            kept = list().save()  # noqa: C408 - nnsight's idiom for a list that outlives the trace
            for _ in tracer.iter[:new_tokens]:
                kept.append(model.model.layers[layer].output @ probes)
        return kept

    return [Variant("nnsight, one vector added", steer), Variant("nnsight, 171 projections per token", read)]


def readers(loaded: Loaded) -> dict[str, Reader]:
    model = _wrap(loaded)

    def read(ids: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
        with torch.inference_mode(), model.trace({"input_ids": ids, "attention_mask": mask}) as tracer:
            means = list().save()  # noqa: C408
            for block in model.model.layers:
                means.append(torch.einsum("bsh,bs->bh", block.output, weights))
            tracer.stop()
        return torch.stack(list(means), dim=1)

    return {"nnsight trace + stop": read}
