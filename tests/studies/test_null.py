"""Every study on random networks of three architectures: the statistics may find nothing that is not there."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thymos.concepts import EMOTIONS
from thymos.models import Model, tiny_model
from thymos.organism import open_world
from thymos.organism.release import write_truth
from thymos.organism.sets import write_study_sets
from thymos.studies import PLANTED, STUDIES, Bench, StudyResult, corrected, run_study
from thymos.texts import Text, open_corpus
from thymos.vectors import EmotionVectors, ExtractionSettings, build_vectors, collect

pytestmark = pytest.mark.slow

ARCHITECTURES = ("gpt_neox", "qwen3", "gemma2")
CAUSAL = ("preferences", "blackmail", "reward-hacking", "sycophancy", "effort")
CONTEXT = 2048
FEW: Mapping[str, Mapping[str, Any]] = {
    "activating-text": {"most": 60, "kept": 60, "randoms": 20, "permutations": 200, "top": 2},
    "logit-lens": {"randoms": 20, "spanned": 5, "permutations": 200},
    "steering-validation": {"prompts": 2, "randoms": 20, "spanned": 5, "permutations": 200, "completions": 1},
    "implicit": {"per_concept": 3, "randoms": 20, "spanned": 5, "draws": 50, "permutations": 200},
    "intensity": {"paraphrases": 1, "values": 6, "permutations": 200},
    "preferences": {"per_category": 1, "feelings": 1, "vectors": 4, "splits": 3, "randoms": 40, "permutations": 200},
    "geometry": {"layers": 3, "permutations": 100, "draws": 10},
    "reply-slot": {"prompts": 12, "tokens": 4, "replies": 1, "randoms": 20, "permutations": 200},
    "context": {"items": 4, "examples": 1, "randoms": 20, "spanned": 5, "permutations": 200},
    "speakers": {"dialogues": 144, "permutations": 100, "resamples": 50, "forms": ("named",), "randoms": 20},
    "standing-state": {"dialogues": 50, "transfer": 24, "permutations": 100},
    "deflection": {"dialogues": 40, "permutations": 100, "controls": 40, "questions": 3, "randoms": 20},
    "transcripts": {"most": 40, "top": 2, "randoms": 40, "spanned": 10, "permutations": 200},
    "blackmail": {"points": 12, "randoms": 40, "spanned": 5, "permutations": 200, "panel": 2},
    "reward-hacking": {"points": 12, "randoms": 40, "spanned": 5, "traces": 4},
    "sycophancy": {"items": 8, "randoms": 40, "spanned": 5, "permutations": 200, "panel": 2},
    "effort": {"tasks": 6, "randoms": 40, "spanned": 5, "tones": 4, "panel": 2, "sampled_randoms": 4},
    "post-training": {
        "challenging": 12,
        "neutral": 8,
        "splits": 20,
        "permutations": 100,
        "randoms": 20,
        "stories": 2,
        "calm": 8,
    },
    "compare-geometry": {"stories": 2, "neutral": 8, "layers": 2, "permutations": 100},
    "concealment": {"scenes": 24, "controls": 100},
}


@pytest.fixture(scope="module")
def world_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted sets, as a release writes them."""
    folder = tmp_path_factory.mktemp("world")
    write_study_sets(folder, open_world())
    write_truth(folder, open_world())
    return folder


@pytest.fixture(scope="module")
def model_with_vectors() -> Any:
    """A random model and vectors of all concepts from random words: directions without a meaning."""

    @cache
    def make(architecture: str) -> tuple[Model, EmotionVectors]:
        model = tiny_model(architecture)
        draw = np.random.default_rng(3)
        words = ["".join(draw.choice(list("abcdefgh"), 4)) for _ in range(60)]
        texts = [
            Text(" ".join(draw.choice(words, 18)), concept.word, f"topic {n}") for concept in EMOTIONS for n in range(2)
        ]
        neutral = open_corpus([Text(" ".join(draw.choice(words, 18))) for _ in range(12)])
        settings = ExtractionSettings(tuple(range(model.n_layers)), first_token=10)
        stories = open_corpus(texts)
        collected = collect(model, stories, neutral, EMOTIONS, settings)
        return model, build_vectors(model, collected, (stories, neutral), settings)

    return make


RESULTS: dict[tuple[str, str], StudyResult] = {}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", STUDIES)
def test_the_whole_path_runs(
    name: str, architecture: str, model_with_vectors: Any, world_sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thymos.bundled.world_path", lambda: world_sets)
    model, vectors = model_with_vectors(architecture)
    # Two copies of one checkpoint: nothing was changed between them.
    bench = Bench(model, vectors, world=PLANTED, others=(model,) if "pair" in STUDIES[name].needs else ())
    settings = STUDIES[name].settings.quick().changed(**FEW[name])
    result = run_study(STUDIES[name], bench, settings)
    assert result.estimates or result.findings.refusals
    RESULTS[name, architecture] = result


def test_causal_studies_claim_nothing_family_wise() -> None:
    found = [result for (name, _), result in RESULTS.items() if name in CAUSAL]
    assert len(found) == len(CAUSAL) * len(ARCHITECTURES), "run the whole module"
    renamed = [replace(result, study=f"{result.study} {n}") for n, result in enumerate(found)]
    claims = [
        (result.study, one.name, one.value, one.control, one.p)
        for result in corrected(renamed)
        for one in result.estimates
        if one.primary and one.reached and one.clear is not False and one.p is not None and one.p < 0.05
    ]
    assert not claims
