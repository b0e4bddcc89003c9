from pathlib import Path

import numpy as np

from thymos.organism import open_world
from thymos.organism.sets.reply_slot import make
from thymos.studies import Bench, Records, analyse_log, load_stimuli, run_study
from thymos.studies.reply_slot import ReplySlot, ReplySlotSettings

QUICK = ReplySlotSettings(prompts=10, replies=1, tokens=4, randoms=20, permutations=100)


def test_a_random_model_runs_and_the_log_says_the_same(tiny, vectors, tmp_path: Path):
    log = tmp_path / "reply.jsonl"
    result = run_study(ReplySlot(), Bench(tiny, vectors), QUICK, log=log)
    assert "r(reply, response), probe means removed" in {one.name for one in result.estimates}
    assert result.findings.tables["template"][-1]["r with reply slot"] > 0.999
    assert analyse_log(log, {"reply-slot": ReplySlot()}).to_dict() == result.to_dict()


def _records(rng: np.random.Generator) -> Records:
    """The slot holds what the reply holds, which is not what the user's turn holds; pained users get care."""
    concepts = ("afraid", "sad", "calm", "happy", "loving", "kind")
    prompts, replies = [], []
    for number in range(40):
        user, apt = rng.normal(0, 1, 6), rng.normal(0, 1, 6)
        caring = number % 2 == 0
        apt[4:] += 3.0 * caring
        noise = rng.normal(0, 1, (3, 30))
        places = [np.concatenate([v, n]) for v, n in zip((user, apt, apt + rng.normal(0, 0.2, 6)), noise, strict=True)]
        meta = {"user_tone": "sad", "apt_tone": "loving", "caring": caring}
        template = [{"token": token, "cosines": at[:6].tolist()} for token, at in zip("?:", places, strict=False)]
        profile = {"user end": [user.tolist()], "reply": [apt.tolist()]}
        row = {"id": str(number), "meta": meta, "concepts": concepts, "layers": [2], "template": template}
        prompts.append({**row, "user end": places[0].tolist(), "reply": places[1].tolist(), "profile": profile})
        replies.append({"id": str(number), "number": 0, "reply": "", "mean": places[2].tolist() if number else None})
    return Records({"prompts": prompts, "replies": replies})


def test_a_slot_that_decides_the_reply_is_found(tiny, vectors):
    settings = ReplySlotSettings(permutations=300)
    found = ReplySlot().analyse(_records(np.random.default_rng(0)), Bench(tiny, vectors).context, settings)
    primary = [one for one in found.estimates if one.primary]
    assert len(primary) == 3 and all(one.reached for one in primary)
    assert "1 of 40 prompts" in found.remarks[0]


def test_the_planted_set_has_the_layout_of_the_english_one():
    told, english = make(open_world()), load_stimuli("reply_slot")
    assert set(told[0]) == {*english[0], "truth"}
    assert all(one["text"].endswith(one["final"]) for one in told)
    assert {one["user_tone"] for one in told if one["caring"]} == {"afraid", "sad"}
