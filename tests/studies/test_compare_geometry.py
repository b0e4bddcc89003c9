import pytest

from thymos.errors import CorpusError, UsageError
from thymos.models import Model, tiny_model
from thymos.organism.sets.compare_geometry import make
from thymos.organism.world import open_world
from thymos.studies import Bench, run_study
from thymos.studies.compare_geometry import CompareGeometry, CompareGeometrySettings
from thymos.studies.own_vectors import own_vectors, same_depth, shared_stories
from thymos.vectors import EmotionVectors

SMALL = CompareGeometrySettings(stories=2, neutral=6, layers=2, permutations=20)


def test_stories_are_balanced_and_too_few_are_refused(tiny: Model, vectors: EmotionVectors) -> None:
    bench = Bench(tiny, vectors)
    stories = shared_stories(bench, 4, 5)
    assert len(stories.concepts) == 24
    assert {len(texts) for texts in stories.texts} == {4}
    assert len(stories.neutral) == 5
    with pytest.raises(CorpusError, match="--set stories"):
        shared_stories(bench, 100, 5)


def test_halves_are_of_different_stories(tiny: Model, vectors: EmotionVectors) -> None:
    stories = shared_stories(Bench(tiny, vectors), 2, 6)
    found = own_vectors(tiny, stories, (1, 3))
    assert found.whole.shape == (2, 24, tiny.hidden_size)
    assert found.halves.shape == (2, 2, 24, tiny.hidden_size)
    assert abs(found.halves[0] - found.halves[1]).max() > 0.01
    assert (found.whole**2).sum(axis=2) == pytest.approx(1.0, abs=1e-4)
    assert same_depth(3, tiny, tiny) == 3


def test_a_copy_has_the_same_geometry_and_another_seed_has_another(tiny: Model, vectors: EmotionVectors) -> None:
    bench = Bench(tiny, vectors, others=(tiny, tiny_model(seed=5)))
    result = run_study(CompareGeometry(), bench, SMALL)
    same = [one for one in result.estimates if one.name.endswith("same stories")]
    assert same[0].value == pytest.approx(1.0, abs=1e-4)
    assert same[1].value < 1.0
    assert {row["r"] for row in result.findings.tables["depths"]}


def test_one_model_is_too_few(tiny: Model, vectors: EmotionVectors) -> None:
    with pytest.raises(UsageError, match="--base"):
        run_study(CompareGeometry(), Bench(tiny, vectors), SMALL)


def test_the_planted_set_holds_as_many_stories_of_every_emotion() -> None:
    world = open_world()
    made = make(world)
    assert len(made["stories"]) == 6 * len(world.words)
    assert {one["emotion"] for one in made["stories"]} == set(world.words)
    assert len({one["id"] for one in made["stories"]}) == len(made["stories"])
