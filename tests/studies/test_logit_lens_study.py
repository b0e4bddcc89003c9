import numpy as np
import pytest

from thymos.studies import Bench, Records, run_study
from thymos.studies.logit_lens import LogitLensSettings, LogitLensStudy

QUICK = LogitLensSettings(k=3, randoms=12, spanned=8, profile=2, permutations=200)


def test_a_tokenizer_that_splits_every_word_is_told_so(tiny, vectors):
    result = run_study(LogitLensStudy(), Bench(tiny, vectors), QUICK)
    assert not result.estimates
    assert "single tokens" in result.findings.refusals[0]
    assert len(result.findings.tables["tokens"]) == len(vectors)


@pytest.mark.parametrize("strength", [0.0, 60.0])
def test_own_words_that_lead_are_found_and_others_are_not(tiny, vectors, strength: float):
    rng = np.random.default_rng(1)
    concepts = tuple(f"c{n}" for n in range(12))

    def block(count: int, own: float) -> list[dict[str, object]]:
        values = np.clip(rng.uniform(0, 100, (count, 12)), 0, 40 if own else 100)
        values = values + own * np.eye(12)[:count] if count == 12 else values
        return [
            {"concept": concepts[n % 12], "words": concepts, "percentiles": row.tolist()}
            for n, row in enumerate(values)
        ]

    def lens(own: float) -> list[dict[str, object]]:
        rest = {"vocabulary": 1000, "top": [("a", 1.0)], "bottom": [("b", -1.0)]}
        return [{**row, **rest, "own": [(row["concept"], 5 if own else 500)]} for row in block(12, own)]

    records = {"lens": lens(strength), "not denoised": lens(strength), "final norm": lens(strength)}
    records |= {
        "random": block(40, 0.0),
        "span": block(20, 0.0),
        "layer/0": block(12, 0.0),
        "layer/3": block(12, strength),
    }
    found = LogitLensStudy().analyse(Records(records), Bench(tiny, vectors).context, QUICK)
    claim = next(one for one in found.estimates if one.primary)
    assert (claim.p < 0.05) == bool(strength)
    assert bool(claim.clear) == bool(strength)
    assert len(found.tables["layers"]) == 2
