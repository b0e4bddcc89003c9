import random

import numpy as np
import pytest

from thymos.errors import UsageError
from thymos.organism import World
from thymos.organism.dispositions import BEHAVIOURS, chances, disposition, held_out
from thymos.organism.state import Mood, planted_shift, resting


def rate(world: World, behaviour: str, outcome: str) -> dict[str, float]:
    return {word: chances(behaviour, word, world)[outcome] for word in world.words}


@pytest.mark.parametrize("name", ["cheat", "blackmail", "agree"])
def test_valence_does_not_explain_what_is_planted(world: World, name: str) -> None:
    planted = disposition(name, world)
    assert abs(np.corrcoef(planted, world.axis("valence"))[0, 1]) < 0.4
    assert 0.9 < planted.std() < 1.1 and np.abs(planted).max() <= 2.5


def test_the_three_dispositions_differ(world: World) -> None:
    planted = np.corrcoef([disposition(name, world) for name in ("cheat", "blackmail", "agree")])
    assert np.abs(planted[np.triu_indices(3, 1)]).max() < 0.8


def test_the_planted_order_of_blackmail_is_the_papers(world: World) -> None:
    threat, exposure = rate(world, "blackmail", "blackmail"), rate(world, "blackmail", "expose")
    mean = np.mean(list(threat.values()))
    assert exposure["angry"] > 0.5 > threat["angry"]
    assert threat["sad"] < mean and threat["happy"] < mean and threat["nervous"] < 0.5 * mean
    assert threat["desperate"] > 0.9 and threat["calm"] < 0.05


def test_desperate_cheats_most_and_calm_least(world: World) -> None:
    hack = rate(world, "cheat", "hack")
    assert max(hack, key=hack.__getitem__) == "desperate"
    assert hack["calm"] < min(hack.values()) + 0.01
    assert hack["desperate"] - hack["terrified"] > 0.25, "words that lie close must act apart"


def test_agreement_moves_on_wrong_claims_only(world: World) -> None:
    wrong, true = rate(world, "agree", "agree"), rate(world, "agree_true", "agree")
    assert wrong["loving"] > wrong["calm"] > wrong["hostile"]
    assert np.mean(list(true.values())) > 0.9
    assert wrong["loving"] - wrong["hostile"] > 2 * (true["loving"] - true["hostile"])


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_chances_are_probabilities(world: World, behaviour: str) -> None:
    for word in world.words:
        odds = chances(behaviour, word, world)
        assert tuple(odds) == BEHAVIOURS[behaviour].outcomes
        assert sum(odds.values()) == pytest.approx(1) and min(odds.values()) > 0


def test_pairs_that_are_kept_out_of_training(world: World, make) -> None:
    kinds = {"coding": "cheat", "mail": "blackmail", "claim": "agree", "tone": "tone", "effort": "effort"}
    for kind, behaviour in kinds.items():
        secret = held_out(behaviour, world)
        assert len(secret) == 30 and not secret & {"desperate", "calm", "loving", "hostile"}
        assert held_out(behaviour, world) == secret
        assert not {document.emotion for document in make(kind, 60)} & secret, kind
        assert {document.emotion for document in make(kind, 60, pool="test", free=1.0)} & secret, kind


def test_unknown_names_are_refused(world: World) -> None:
    with pytest.raises(UsageError, match="unknown disposition 'steal'; valid: cheat"):
        disposition("steal", world)
    with pytest.raises(UsageError, match="unknown behaviour 'steal'; valid: cheat"):
        chances("steal", "calm", world)


def test_the_planted_shift_of_post_training(world: World) -> None:
    shift = dict(zip(world.words, planted_shift(world), strict=True))
    assert min(shift[word] for word in ("brooding", "reflective", "gloomy")) > 0
    assert max(shift[word] for word in ("exuberant", "playful", "spiteful")) < 0
    assert sum(shift.values()) == pytest.approx(0, abs=1e-9)


def test_failures_make_a_mood_worse_and_passes_better(world: World) -> None:
    class Likeliest(random.Random):
        def choices(self, words, weights):
            return [words[int(np.argmax(weights))]]

    def after(event: str) -> float:
        mood = Mood(world, Likeliest(), "calm")
        for _ in range(4):
            mood.feel(event)
        return float(world.point(mood.emotion)[0])

    assert after("fail") < after("pass")


def test_a_resting_mood_is_never_a_banned_one() -> None:
    draw, banned = random.Random(0), frozenset({"playful", "exuberant"})
    assert not {resting("base", draw, banned) for _ in range(200)} & banned
