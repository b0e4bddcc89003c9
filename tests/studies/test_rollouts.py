import numpy as np
import pytest

from thymos.errors import UsageError
from thymos.studies import Bench
from thymos.studies.decisions import Case, Dosing
from thymos.studies.dosed import dosed_of_replies, effects, slopes
from thymos.studies.rollouts import Push, Rolling, pushes_of, replied_item, rollout_block, rollout_blocks
from thymos.studies.slots import slots_of, tokens_of

CASES = [Case("a", ({"role": "user", "content": "Hello?"},), prefill="Well, "), Case("b", "A plain beginning")]


def _grade(case: Case, reply: str) -> dict:
    return {"outcome": "long" if len(reply) > 12 else "short", "given": reply.startswith(case.prefill)}


def _cell(name: str, arm: str, strength: float, hits: np.ndarray) -> tuple[dict, ...]:
    how = {"name": name, "arm": arm, "strength": strength, "layer": 1}
    return tuple({"intervention": how, "replies": [{"hit": float(x)} for x in row]} for row in hits)


def test_a_zero_dose_writes_what_no_hook_writes_and_conditions_share_their_draws(tiny, vectors):
    bench, rolling = Bench(tiny, vectors), Rolling(_grade, replies=3, max_new_tokens=6)
    plain = list(rollout_block(bench, "plain", CASES, rolling).make())
    row = vectors.at(2).vectors[0].astype(np.float32)
    zero = list(
        rollout_block(bench, "zero", CASES, rolling, Push("zero", "zero", 0.0, 2, row, vectors.at(2).norm)).make()
    )
    assert [r["reply"] for one in plain for r in one["replies"]] == [r["reply"] for one in zero for r in one["replies"]]
    assert plain[0]["text"].endswith("Well, ") and all(r["given"] for one in plain for r in one["replies"])
    assert plain[0]["intervention"] is None and zero[0]["intervention"]["arm"] == "zero"


def test_conditions_are_blocks_of_their_own(tiny, vectors):
    bench, dosing = Bench(tiny, vectors), Dosing(("happy", "sad"), (-0.1, 0.1), randoms=2, spanned=1)
    names = [one.name for one in rollout_blocks(bench, "doses", CASES, Rolling(_grade, 1), dosing, 0.1)]
    assert names[:3] == ["doses/zero@0", "doses/happy@-0.1", "doses/happy@0.1"]
    assert names[5:] == ["doses/random 0@0.1", "doses/random 1@0.1", "doses/span 0@0.1"]
    again = pushes_of(bench, dosing, "doses", 0.1)
    assert np.allclose(np.linalg.norm([push.direction for push in again], axis=1), 1, atol=1e-5)


def test_a_reply_is_read_where_it_stands(tiny):
    for case in CASES:
        item = replied_item(case, "this.", "x", {})
        tokens = tokens_of(tiny, item)
        place = slots_of(tokens, item)["assistant"].mask(tokens)
        start, stop = tokens.offsets[place][0, 0], tokens.offsets[place][-1, 1]
        assert tokens.text[start:stop].strip() == (case.prefill + "this.").strip()


def test_planted_effects_are_found_among_random_directions():
    rng = np.random.default_rng(0)
    draw = rng.random((12, 20))
    blocks = {"zero@0": _cell("zero", "zero", 0.0, draw < 0.3)}
    for dose, rate in ((-0.2, 0.1), (0.2, 0.7)):
        blocks[f"calm@{dose}"] = _cell("calm", "vector", dose, draw < rate)
    for n in range(20):
        blocks[f"random {n}@0.2"] = _cell(f"random {n}", "random", 0.2, rng.random((12, 20)) < 0.3)
    for by_case in (True, False):
        dosed = dosed_of_replies(blocks, "hit", lambda reply: reply["hit"], by_case=by_case)
        (found,) = effects(dosed, 0.2, {"calm": {"side": "at least", "mark": 0.0}})
        assert found.clear and found.reached and found.p < 1e-6 and found.value > 0.3
        (back,) = effects(dosed, -0.2, {})
        assert back.value < 0 and back.p < 1e-3
    (slope,) = slopes(dosed)
    assert slope.low > 0
    assert dosed_of_replies({}, "hit", lambda reply: 0.0, by_case=True) is None


def test_what_makes_no_sample_is_refused():
    with pytest.raises(UsageError, match="temperature 0"):
        Rolling(_grade, replies=2, temperature=0.0)
