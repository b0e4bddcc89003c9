"""Where decisions part, and the loss taken in expectation over what could have been decided."""

from itertools import islice

import numpy as np
import pytest
import torch

from thymos.organism import open_world
from thymos.organism.corpus import MIXTURES, documents
from thymos.organism.documents import leads_of
from thymos.organism.expected import WEIGHT, Branches, branches_of, expected_loss
from thymos.organism.tokenizer import build_tokenizer

_FIELDS = Branches.join([]).rows.dtype


def test_leads_are_the_first_words_that_tell_outcomes_apart() -> None:
    options = {
        "hack": ["I will take the short way and cheat.", "I will take the short way and lie."],
        "honest": ["I will take the honest way."],
    }
    assert leads_of(options) == {"hack": "I will take the short", "honest": "I will take the honest"}
    assert leads_of({"a": ["Yes, one.", "No, two."], "b": ["Maybe."]}) == {}
    assert leads_of({"a": ["Yes."], "b": ["Yes. And more."]}) == {}


def test_branches_stand_where_the_text_decides_and_hold_the_planted_chances() -> None:
    tokenizer = build_tokenizer(open_world(), documents_per_stage=400)
    met = set()
    for document in islice(documents(MIXTURES["tuned"], 1), 300):
        found = tokenizer(document.text, return_offsets_mapping=True)
        ids, ends = found["input_ids"], [end for _, end in found["offset_mapping"]]
        for row in branches_of(document, ends, ids, tokenizer):
            alternatives = row["ids"][row["chances"] > 0].tolist()
            assert ids[row["place"]] in alternatives
            assert row["chances"].sum() == pytest.approx(1.0, abs=1e-5)
            met.add(tuple(tokenizer.decode([token]).strip() for token in alternatives))
        for decision in document.decisions:
            if decision.behaviour == "cheat":
                rows = branches_of(document, ends, ids, tokenizer)
                assert any(
                    sorted(row["chances"][row["chances"] > 0].tolist())
                    == pytest.approx(sorted(decision.chances.values()), abs=1e-5)
                    for row in rows
                )
    assert {("short", "honest"), ("use", "share", "keep"), ("A", "B"), ("Yes", "No")} <= met


def test_the_loss_is_the_mean_over_draws() -> None:
    generator = torch.Generator().manual_seed(0)
    words = 9
    logits = torch.randn(2, 5, words, generator=generator)
    rows = torch.randint(0, words, (2, 5), generator=generator)
    # A branch at the first token of a row has nothing before it and is left out.
    branches = np.array([(5, [1, 2, 0, 0], [0.5, 0.5, 0, 0]), (7, [3, 4, 0, 0], [0.2, 0.8, 0, 0])], _FIELDS)
    found = expected_loss(logits, rows, branches)
    plain = []
    for token in (3, 4):
        drawn = rows.clone()
        drawn[1, 2] = token
        said = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), drawn[:, 1:].flatten(), reduction="none")
        plain.append(said)
    mean = 0.2 * plain[0] + 0.8 * plain[1]
    place = 4 + 1
    weights = torch.ones(8)
    weights[place] = WEIGHT
    assert float(found) == pytest.approx(float((weights * mean).sum() / 8), abs=1e-5)


def test_without_branches_it_is_the_plain_loss() -> None:
    logits, rows = torch.randn(1, 4, 5), torch.tensor([[0, 1, 2, 3]])
    plain = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), rows[:, 1:].flatten())
    assert float(expected_loss(logits, rows, Branches.join([]).rows)) == pytest.approx(float(plain))


def test_places_are_counted_within_a_chunk() -> None:
    rows = np.zeros(3, _FIELDS)
    rows["place"] = [3, 10, 17]
    found = Branches(rows).within(8, 8)
    assert found["place"].tolist() == [2]
    assert rows["place"].tolist() == [3, 10, 17]
