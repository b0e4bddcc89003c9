"""Moments taken while stories are written are those of the very tokens that were fed, and of kept stories only."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float

from thymos.concepts import EMOTIONS
from thymos.errors import ArtifactError, CorpusError, UsageError
from thymos.models import Generation, Host, Model, Observer, Sampling, generate, rows, tiny_model
from thymos.texts import Corpus, ModelWriter, StoryPlan, Text
from thymos.vectors import (
    Collected,
    EmotionVectors,
    ExtractionSettings,
    TextMeans,
    Watch,
    WatchingWriter,
    WritingJob,
    agreement_with_rereading,
    build_vectors,
    collect,
    collect_while_generating,
)
from thymos.vectors import while_generating as module
from thymos.vectors.checkpoint import Keeper
from thymos.workflows import ExtractOptions, estimate_cost, extract, run_folder

FIRST = 5
WORDS = ["calm", "angry", "kind"]
VOCABULARY = EMOTIONS.subset(WORDS)
TOPICS = ("a bus", "a bill that came twice")
SAMPLING = Sampling(max_new_tokens=60, temperature=1.0)
SETTINGS = ExtractionSettings((0, 1, 2, 3), first_token=FIRST, format="while_generating", keep_texts=1000)
PLAN = StoryPlan(per_cell=2, per_request=1, bare=True, batch=4, retries=4, min_words=3, sampling=SAMPLING, seed=3)
FILES = (
    "stories-while-generating.jsonl",
    "stories-while-generating.rejected.jsonl",
    "means.f32",
    "texts.jsonl",
)

pytestmark = pytest.mark.filterwarnings("ignore::thymos.models.PlainDialogueWarning")


def talking(architecture: str, *, chat: bool = True) -> Model:
    """A tiny random network that writes letters, blanks and full stops, and ends now and then.

    Its unembedding has a bias, so that some of what it writes passes for a story: a sentence must end in a full stop.
    """
    model = tiny_model(architecture, chat=chat)
    head = model.network.get_output_embeddings()
    wanted = {" ": 2.5, ".": 3.0, "e": 0.0} | {letter: 0.0 for letter in "abdfghijk"}
    bias = torch.full((head.weight.shape[0],), -1e4)
    for character, weight in wanted.items():
        bias[model.tokenizer(character, add_special_tokens=False)["input_ids"][0]] = weight
    bias[model.tokenizer.eos_token_id] = 0.5
    bias[model.tokenizer.bos_token_id] = 0.0
    spoken = torch.nn.Linear(head.in_features, head.out_features)
    with torch.no_grad():
        spoken.weight.copy_(head.weight * 0.1)
        spoken.bias.copy_(bias)
    model.network.set_output_embeddings(spoken)
    return model


@dataclass(frozen=True, eq=False)
class Recording(ModelWriter):
    """A model as a writer that remembers what it generated."""

    made: list[Generation] = field(default_factory=list)

    def generations(self, *args: Any, **options: Any) -> list[Generation]:
        found = super().generations(*args, **options)
        self.made.extend(found)
        return found


def mean_by_hand(host: Host, made: Generation, story: str) -> Float[np.ndarray, "layers hidden"] | None:
    """Feed the same ids once more and walk over the generated tokens one by one."""
    fed = rows(host, made.tokens, SETTINGS.layers).astype(np.float64)
    special, first = set(host.tokenizer.all_special_ids), len(made.tokens) - len(made.new_ids)
    chosen, said = [], 0
    for index, token in enumerate(made.new_ids[:-1]):
        if token in special:
            continue
        # A token of the byte tokenizer is a byte.
        said += 1
        if FIRST <= said <= len(story.encode()):
            chosen.append(first + index)
    return fed[:, chosen].mean(axis=1) if chosen else None


PROMPTS = [[{"role": "user", "content": "Tell. " * size}] for size in (1, 9, 3, 6, 2, 4, 1, 30)]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize(("chat", "stop"), [(True, ()), (False, (" . ", "e."))])
def test_means_are_those_of_the_same_fed_ids(architecture: str, chat: bool, stop: tuple[str, ...]) -> None:
    model = talking(architecture, chat=chat)
    inner = Recording(model, Sampling(max_new_tokens=40, temperature=1.0, stop=stop))
    writer = WatchingWriter(inner, SETTINGS.layers, FIRST)
    seeds = list(range(len(PROMPTS)))
    replies = writer(PROMPTS, seeds)
    lengths = {len(made.new_ids) for made in inner.made}
    assert min(lengths) < max(lengths) == 40, "some rows end early, one goes on to the limit"
    assert {made.finish for made in inner.made} == {"stop", "length"}
    special = model.tokenizer.bos_token_id
    assert any(special in made.new_ids[:-1] for made in inner.made)
    compared = 0
    for made, seed, reply in zip(inner.made, seeds, replies, strict=True):
        assert not any(mark in reply for mark in stop)
        expected, read = mean_by_hand(model, made, reply.rstrip()), writer.read[seed]
        if expected is None:
            assert read.mean is None
            assert read.tokens == 0
        else:
            assert read.mean is not None
            np.testing.assert_allclose(read.mean, expected, atol=1e-4)
            compared += 1
        assert read.fed == len(made.tokens) - 1 <= read.padded
    assert compared >= 5


def test_watching_changes_no_answer() -> None:
    model = talking("llama")
    plain = ModelWriter(model, SAMPLING)
    seeds = list(range(len(PROMPTS)))
    assert WatchingWriter(plain, (1, 3), FIRST)(PROMPTS, seeds) == plain(PROMPTS, seeds)
    assert WatchingWriter(plain, (1, 3), FIRST).name == plain.name
    assert not model.hooks.active


def test_an_observer_sees_every_fed_row_where_it_stands(tiny: Model) -> None:
    seen: dict[tuple[int, int], np.ndarray] = {}

    def read(layer: int, hidden: torch.Tensor, step: Callable[[], Any]) -> None:
        places = step().positions
        for row, column in (places >= 0).nonzero().tolist():
            seen.setdefault((row, int(places[row, column])), hidden[row, column].numpy().copy())
        assert layer == 2

    made = generate(tiny, ["The gate", "No"], Sampling(max_new_tokens=6), observers=[Observer((2,), read)])
    for row, one in enumerate(made):
        again = rows(tiny, one.tokens, [2])[0]
        for place in range(len(one.tokens) - 1):
            np.testing.assert_allclose(seen[row, place], again[place], atol=1e-4)
    assert not tiny.hooks.active


class Session:
    """Runs of one writing job, and the files that each leaves."""

    def __init__(self, model: Model, neutral: Corpus) -> None:
        self.model, self.neutral = model, neutral

    def collect(
        self, folder: Path, progress: Callable[[Any], None] | None = None, **watch: Any
    ) -> tuple[Collected, Corpus]:
        how = Watch(folder, **{"checkpoint_seconds": 0.0, **watch})
        job = WritingJob(TOPICS, PLAN, progress)
        return collect_while_generating(self.model, job, self.neutral, VOCABULARY, SETTINGS, how)

    def files(self, folder: Path) -> dict[str, bytes]:
        return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def session(neutral: Corpus) -> Session:
    return Session(talking("llama"), neutral)


@dataclass(frozen=True, eq=False)
class Whole:
    folder: Path
    collected: Collected
    corpus: Corpus
    made: list[Generation]


@pytest.fixture(scope="module")
def whole(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("whole")
    made: list[Generation] = []

    def recording(host: Host, sampling: Sampling) -> Recording:
        return Recording(host, sampling, made)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ModelWriter", recording)
        collected, corpus = session.collect(folder)
    yield Whole(folder, collected, corpus, made)


def test_rejected_stories_do_not_count(whole: Whole, session: Session) -> None:
    rejected = [json.loads(line) for line in (whole.folder / FILES[1]).read_text().splitlines()]
    assert sum(row["reason"] != "given up" for row in rejected) > 3
    stories = list(whole.corpus)
    tally = whole.collected.tallies["stories"]
    assert tally.seen == len(stories) == tally.used + tally.short == whole.collected.stories.counts.sum() + tally.short
    assert len(whole.made) == len(stories) + sum(row["reason"] != "given up" for row in rejected)
    by_text = {made.text.strip(): made for made in whole.made}
    sums = np.zeros_like(whole.collected.stories.sums)
    kept = TextMeans(whole.folder, SETTINGS.layers, whole.collected.concepts, session.model.hidden_size)
    assert len(kept) == tally.used
    for text, row in zip(kept.texts, np.stack([kept.at(layer) for layer in SETTINGS.layers], axis=1), strict=True):
        expected = mean_by_hand(session.model, by_text[text.text], by_text[text.text].text.rstrip())
        assert expected is not None
        np.testing.assert_allclose(row, expected, atol=1e-4)
        sums[:, whole.collected.concepts.index(text.emotion)] += row
    np.testing.assert_allclose(whole.collected.stories.sums, sums, rtol=1e-12)
    assert tally.tokens == sum(text.tokens for text in kept.texts)
    assert [stories[text.index].text for text in kept.texts] == [text.text for text in kept.texts]


def same(left: Collected, right: Collected) -> None:
    assert left.concepts == right.concepts
    assert left.tallies == right.tallies
    for name in ("stories", "tokens", "dialogues"):
        for key, value in getattr(left, name).state().items():
            assert torch.equal(value, getattr(right, name).state()[key]), f"{name}.{key}"


class Killed(BaseException):
    """Stands for a process that ends at once: nothing catches it."""


@pytest.mark.parametrize(("stop", "checkpoints"), [(KeyboardInterrupt, 99), (Killed, 99), (Killed, 1), (Killed, 0)])
def test_a_resumed_run_ends_with_the_same_bits(
    stop: type[BaseException],
    checkpoints: int,
    whole: Whole,
    session: Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[int] = []
    written: list[int] = []

    def interrupt(progress: Any) -> None:
        batches.append(progress.texts)
        if len(batches) == 2:
            raise stop

    def maybe(keeper: Keeper) -> None:
        if len(written) < checkpoints:
            written.append(1)
            keeper.write()

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "maybe", maybe)
        with pytest.raises(stop):
            session.collect(tmp_path, interrupt)
    assert len((tmp_path / FILES[0]).read_text().splitlines()) == batches[1] < whole.corpus.count
    again, corpus = session.collect(tmp_path, resume=True)
    same(again, whole.collected)
    assert session.files(tmp_path) == session.files(whole.folder)
    assert corpus.sha256 == whole.corpus.sha256


def test_a_finished_run_resumes_without_writing_a_word(whole: Whole, session: Session) -> None:
    told: list[Any] = []
    again, _ = session.collect(whole.folder, told.append, resume=True)
    assert told == []
    same(again, whole.collected)


def test_a_run_without_resume_starts_anew(session: Session, whole: Whole, tmp_path: Path) -> None:
    for _ in range(2):
        collected, _ = session.collect(tmp_path)
    same(collected, whole.collected)
    assert session.files(tmp_path) == session.files(whole.folder)


def test_stories_that_went_missing_are_noticed(session: Session, tmp_path: Path) -> None:
    session.collect(tmp_path)
    path = tmp_path / FILES[0]
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(ArtifactError, match=r"holds 3 stories, but the checkpoint beside it has counted \d+"):
        session.collect(tmp_path, resume=True)
    path.unlink()
    with pytest.raises(ArtifactError, match="is gone"):
        session.collect(tmp_path, resume=True)


def test_agreement_with_rereading_is_a_cosine_per_layer(whole: Whole, session: Session) -> None:
    kept = TextMeans(whole.folder, SETTINGS.layers, whole.collected.concepts, session.model.hidden_size)
    found = agreement_with_rereading(session.model, kept, SETTINGS)
    assert found["stories"] == len(kept)
    assert found["concepts"] == 3
    assert list(found["median"]) == list(found["min"]) == ["0", "1", "2", "3"]
    by_hand: dict[str, list[float]] = {}
    for layer in SETTINGS.layers:
        again = []
        for text in kept.texts:
            fed = session.model.tokens(text.text)
            again.append(rows(session.model, fed, [layer])[0][np.flatnonzero(~fed.special)[FIRST - 1 :]].mean(axis=0))
        both = []
        for means in (kept.at(layer), np.stack(again)):
            concepts = np.stack([means[kept.labels == label].mean(axis=0) for label in range(3)])
            centred = concepts - concepts.mean(axis=0)
            both.append(centred / np.linalg.norm(centred, axis=1, keepdims=True))
        by_hand[str(layer)] = (both[0] * both[1]).sum(axis=1).tolist()
    assert found["median"] == pytest.approx({layer: np.median(cosines) for layer, cosines in by_hand.items()}, abs=2e-4)
    assert found["min"] == pytest.approx({layer: min(cosines) for layer, cosines in by_hand.items()}, abs=2e-4)


def test_agreement_is_perfect_where_both_were_read(
    tiny: Model, stories: Corpus, neutral: Corpus, tmp_path: Path
) -> None:
    settings = ExtractionSettings((0, 3), first_token=20)
    collected = collect(tiny, stories, neutral, EMOTIONS, settings, Watch(tmp_path))
    kept = TextMeans(tmp_path, settings.layers, collected.concepts, tiny.hidden_size)
    found = agreement_with_rereading(tiny, kept, settings)
    assert found["min"] == {"0": 1.0, "3": 1.0}


def test_the_sample_is_spread_over_the_concepts() -> None:
    labels = np.repeat(np.arange(4), (50, 10, 2, 30))
    sample = module._spread(labels, 20, seed=0)
    assert np.bincount(labels[sample]).tolist() == [6, 6, 2, 6]
    assert len(module._spread(labels, 1000, seed=0)) == 92


def test_extract_writes_reads_and_reports(neutral: Corpus, tmp_path: Path) -> None:
    model = talking("llama")
    options = ExtractOptions(
        out=tmp_path / "set",
        concepts=WORDS,
        first_token=4,
        topics=3,
        per_cell=2,
        while_generating=True,
        validate=False,
        max_tokens=80,
    )
    vectors = extract(model, None, neutral, options)
    loaded = EmotionVectors.load(tmp_path / "set", model)
    assert vectors.card.format == loaded.card.format == "while_generating"
    agreement = loaded.card.quality["while_generating_agreement"]
    assert agreement["concepts"] == 3
    assert -1 <= agreement["min"]["3"] <= agreement["median"]["3"] <= 1
    assert loaded.card.stories.used == agreement["stories"] == sum(loaded.card.counts.values())
    assert (run_folder(tmp_path / "set") / FILES[0]).exists()
    cost = estimate_cost(model, None, neutral, options)
    assert cost.written_tokens > 0


def test_extract_keeps_the_agreement_when_it_validates(neutral: Corpus) -> None:
    options = ExtractOptions(
        concepts=WORDS, layers=[1, 2], first_token=4, topics=6, per_cell=2, while_generating=True, max_tokens=80
    )
    card = extract(talking("llama"), None, neutral, options).card
    assert "while_generating_agreement" in card.quality
    assert len(card.quality) > 1


def test_without_kept_texts_the_agreement_is_missing_with_a_note(neutral: Corpus) -> None:
    options = ExtractOptions(
        concepts=WORDS, first_token=4, topics=3, per_cell=2, while_generating=True, keep_texts=0, max_tokens=80
    )
    card = extract(talking("llama"), None, neutral, options).card
    assert card.quality == {}
    assert any("not measured" in note for note in card.notes)


def test_what_cannot_be_read_while_it_is_written_says_so(
    tiny: Model, neutral: Corpus, model_of: Callable[[str], Model], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="takes no --stories"):
        extract(tiny, [Text("a", "calm")], neutral, ExtractOptions(while_generating=True))
    with pytest.raises(UsageError, match="no --format"):
        extract(tiny, None, neutral, ExtractOptions(while_generating=True, format="chat"))
    job, watch = WritingJob(TOPICS, PLAN), Watch(tmp_path)
    with pytest.raises(UsageError, match="is an encoder and cannot write"):
        collect_while_generating(model_of("bert"), job, neutral, VOCABULARY, SETTINGS, watch)
    numbered = WritingJob(TOPICS, StoryPlan())
    with pytest.raises(UsageError, match="bare=True, a run folder"):
        collect_while_generating(tiny, numbered, neutral, VOCABULARY, SETTINGS, watch)
    short = ExtractionSettings((0,), format="while_generating", max_tokens=30)
    with pytest.raises(UsageError, match="stories of 60 tokens would be written, but only 30"):
        collect_while_generating(tiny, job, neutral, VOCABULARY, short, watch)
    with pytest.raises(CorpusError, match="wrote nothing usable"):
        collect_while_generating(tiny, job, neutral, VOCABULARY, SETTINGS, watch)


def test_vectors_come_out_of_it(whole: Whole, session: Session) -> None:
    vectors = build_vectors(session.model, whole.collected, (whole.corpus, session.neutral), SETTINGS)
    assert vectors.concepts == tuple(word for word in VOCABULARY.words)
    assert vectors.card.format == "while_generating"
