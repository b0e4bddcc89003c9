import numpy as np
import pytest

from thymos.errors import UsageError
from thymos.studies.probes import lexical_hits
from thymos.studies.readouts import filled, ranks_of, set_means, sign_flips


def test_filled_templates_say_where_every_filling_stands():
    text, places = filled("{A} is {e1}, but {B} is sad; {A} left.", {"A": "Mei", "B": "Omar", "e1": "calm"})
    assert text == "Mei is calm, but Omar is sad; Mei left."
    assert [text[low:high] for low, high in places["A"]] == ["Mei", "Mei"]
    assert [text[low:high] for low, high in places["e1"]] == ["calm"]
    with pytest.raises(UsageError, match="no value for"):
        filled("{A} and {C}", {"A": "Mei"})


def test_ranks_count_ties_against_a_concept():
    ranks = ranks_of(np.array([[1.0, 3.0, 3.0], [0.0, -1.0, 2.0]]), centred=False)
    assert ranks.tolist() == [[2, 1, 1], [1, 2, 0]]


def test_centring_takes_out_what_a_probe_reads_everywhere():
    scores = np.array([[0.0, 5.0], [1.0, 4.0]])
    assert ranks_of(scores, centred=False)[:, 1].tolist() == [0, 0]
    assert ranks_of(scores, centred=True).tolist() == [[1, 0], [0, 1]]


def test_sign_flips_find_a_shift_and_keep_the_family_wise_rate():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((12, 20))
    noise[:, 3] += 3.0
    found = sign_flips(noise, 2000, 0)
    assert found.family[3] < 0.01
    assert (np.delete(found.family, 3) > 0.05).all()
    assert (found.family >= found.p).all()
    false = [sign_flips(rng.standard_normal((10, 8)), 200, seed).family.min() <= 0.05 for seed in range(200)]
    assert 0.0 <= np.mean(false) < 0.11


def test_columns_without_any_difference_prove_nothing():
    assert sign_flips(np.zeros((6, 2)), 100, 0).p.tolist() == [1.0, 1.0]


def test_sets_of_random_directions_share_one_within_a_concept():
    values = np.tile(np.array([1.0, -1.0]), (4, 1))
    drawn = set_means(values, np.array([0, 0, 0, 0]), 50, 0)
    assert set(drawn.tolist()) == {1.0, -1.0}


def test_words_are_held_out_by_group():
    texts = [f"{word} {filler}" for word in ("rain", "sun") for filler in ("a b", "c d", "e f", "g h", "i j")]
    labels = ["sad"] * 5 + ["happy"] * 5
    found = lexical_hits(texts, labels, [str(n % 5) for n in range(10)], 0)
    assert found is not None and found.all()
    # Every text of its own words: what is held out cannot be known.
    alone = lexical_hits([f"w{n} x{n}" for n in range(10)], labels, [str(n) for n in range(10)], 0)
    assert alone is not None and alone.mean() < 0.7
