import errno
import gc
import itertools
import json
import pickle
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thymos.errors import CorpusError, StorageError, UsageError
from thymos.texts import Corpus, Text, open_corpus, write_texts

BLANKLESS = st.text(min_size=1).filter(lambda text: bool(text.strip()))
SCALARS = st.text() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.lists(
    st.builds(Text, BLANKLESS, st.none() | BLANKLESS, st.none() | BLANKLESS, st.none() | BLANKLESS), min_size=1
)
ROWS = [Text("one", "calm", "a train", "hand"), Text("two", "angry", "a train"), Text("three", None, None)]


def write_lines(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@given(texts=TEXTS, extra=SCALARS)
@settings(max_examples=60, deadline=None)
def test_files_give_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, texts: list[Text], extra: Any
) -> None:
    path = tmp_path_factory.mktemp("round") / f"texts{suffix}"
    # The extra column appears late and not everywhere.
    texts = [*texts, Text("last", extra={"rating": extra})]
    assert write_texts(path, texts) == len(texts)
    corpus = open_corpus(path)
    assert list(corpus) == texts
    assert list(corpus) == texts
    assert corpus.count == len(corpus) == len(texts)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_nested_and_late_columns_pass_through(tmp_path: Path, suffix: str) -> None:
    texts = [Text(f"text {i}", extra={"n": i} if i < 400 else {"tags": ["a", "b"]}) for i in range(700)]
    write_texts(tmp_path / f"x{suffix}", iter(texts))
    assert list(open_corpus(tmp_path / f"x{suffix}")) == texts


def test_counts_and_hash_do_not_depend_on_the_format(tmp_path: Path) -> None:
    write_texts(tmp_path / "x.jsonl", ROWS)
    write_texts(tmp_path / "x.parquet", ROWS)
    dataset = datasets.Dataset.from_list([{"emotion": None, "topic": None, **row.row()} for row in ROWS])
    corpora = [open_corpus(tmp_path / "x.jsonl"), open_corpus(str(tmp_path / "x.parquet")), open_corpus(ROWS)]
    corpora += [open_corpus(dataset), open_corpus(dataset.to_iterable_dataset()), open_corpus(lambda: iter(ROWS))]
    for corpus in corpora:
        assert (corpus.count, corpus.concepts, corpus.topics) == (3, {"calm": 1, "angry": 1}, {"a train": 2})
        assert [text.text for text in corpus] == ["one", "two", "three"]
    assert len({corpus.sha256 for corpus in corpora}) == 1
    assert open_corpus(ROWS[::-1]).sha256 != corpora[0].sha256
    # Moving a word from one field to another is another content.
    assert open_corpus([Text("a", "b")]).sha256 != open_corpus([Text("a", None, "b")]).sha256


def test_a_dataset_of_splits_and_a_class_label_are_explained() -> None:
    dataset = datasets.Dataset.from_dict({"text": ["a"], "emotion": [3]})
    with pytest.raises(CorpusError, match="splits train were given|splits train was given; choose one"):
        open_corpus(datasets.DatasetDict({"train": dataset}))
    with pytest.raises(CorpusError, match="row 1: 'emotion' is int .3., not a string.*int2str"):
        list(open_corpus(dataset))
    with pytest.raises(CorpusError, match="no column 'text'; columns seen: story"):
        list(open_corpus(datasets.Dataset.from_dict({"story": ["a"]})))


def test_slices_and_shards_hold_every_text_once(tmp_path: Path) -> None:
    write_texts(tmp_path / "x.parquet", [f"text {i}" for i in range(600)])
    corpus = open_corpus(tmp_path / "x.parquet")
    assert [text.text for text in corpus.slice(598)] == ["text 598", "text 599"]
    assert [text.text for text in corpus.slice(10, 20).slice(3, 5)] == ["text 13", "text 14"]
    assert sorted(text.text for i in range(7) for text in corpus.shard(i, 7)) == sorted(text.text for text in corpus)
    assert corpus.slice(5, 5).count == 0
    assert open_corpus(["only"]).shard(1, 2).count == 0
    for wrong in (
        lambda: corpus.slice(-1),
        lambda: corpus.slice(3, 2),
        lambda: corpus.shard(2, 2),
        lambda: corpus.shard(0, 0),
    ):
        with pytest.raises(UsageError):
            wrong()


def test_a_file_corpus_survives_pickling(tmp_path: Path) -> None:
    write_texts(tmp_path / "x.jsonl", ROWS)
    part = open_corpus(tmp_path / "x.jsonl").shard(0, 2)
    assert list(pickle.loads(pickle.dumps(part))) == list(part)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no texts"),
        ("\n \n", "holds no texts"),
        ('{"text": "a"}\n{"text": "b"\n', "line 2 is not JSON"),
        ('{"text": "a"}\n\n{"text": "b', "line 3 is not JSON.*writing may have been cut off"),
        ('{"story": "a", "emotion": "sad"}\n', "line 1 has no 'text'; columns seen: story, emotion"),
        ('{"text": 7}\n', "line 1: 'text' is int .7., not a string"),
        ('{"text": null}\n', "line 1: 'text' is NoneType"),
        ('{"text": " "}\n', "line 1: 'text' is empty"),
        ("{}\n", "line 1 has no 'text'; columns seen: none"),
        ('["a"]\n', "line 1 is list, not an object"),
        ('{"text": "a", "emotion": ["sad"]}\n', "'emotion' is list"),
        ('{"text": "\\ud800"}\n', "half of a surrogate pair"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CorpusError, match=message) as caught:
        list(open_corpus(path))
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_bad_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes('{"text": "caf\xe9"}\n'.encode("latin-1"))
    (tmp_path / "not.parquet").write_bytes(b"PAR1 no")
    pq.write_table(pa.table({"story": ["a"], "label": [1]}), tmp_path / "columns.parquet")
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "empty.parquet")
    pq.write_table(pa.table({"text": ["a", None]}), tmp_path / "null.parquet")
    (tmp_path / "folder.jsonl").mkdir()
    for name, message in {
        "missing.jsonl": "there is no such file",
        "texts.csv": "ends in '.csv'; valid endings of corpora are .jsonl, .parquet",
        "latin.jsonl": "line 1 is not UTF-8",
        "not.parquet": "not a readable Parquet file",
        "columns.parquet": "no column 'text'; columns seen: story, label",
        "empty.parquet": "holds no texts",
        "null.parquet": "row 2: 'text' is NoneType",
        "folder.jsonl": "cannot be read",
    }.items():
        with pytest.raises(CorpusError, match=message) as caught:
            list(open_corpus(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_a_byte_order_mark_and_blank_labels_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "a", "emotion": "", "topic": null}\r\n')
    assert list(open_corpus(tmp_path / "x.jsonl")) == [Text("a")]


def test_what_can_be_read_only_once_is_refused() -> None:
    with pytest.raises(UsageError, match="this generator can be read only once"):
        open_corpus(text for text in ROWS)
    with pytest.raises(CorpusError, match="texts in memory holds no texts"):
        list(open_corpus([]))
    assert open_corpus(corpus := open_corpus(ROWS)) is corpus


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jsonl"
    write_texts(path, ROWS)
    before = path.read_bytes()

    def broken() -> Iterator[Text]:
        yield from ROWS
        raise KeyboardInterrupt

    for texts, error in (
        (broken, KeyboardInterrupt),
        (list, CorpusError),
        (lambda: [Text("a", extra={"x": {1}})], CorpusError),
    ):
        for target in (path, tmp_path / "new.parquet"):
            with pytest.raises(error):
                write_texts(target, texts())
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    write_texts(path, itertools.chain(open_corpus(path), [Text("four")]))
    assert open_corpus(path).count == 4

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(json, "dumps", full)
    with pytest.raises(StorageError, match="no space left"):
        write_texts(path, ROWS)
    monkeypatch.undo()
    assert open_corpus(path).count == 4
    with pytest.raises(StorageError, match="cannot write"):
        write_texts(path / "below" / "x.jsonl", ROWS)
    with pytest.raises(CorpusError, match="ends in '.txt'"):
        write_texts(tmp_path / "x.txt", ROWS)
    with pytest.raises(CorpusError, match="cannot be written as Parquet"):
        write_texts(tmp_path / "x.parquet", [Text("a", extra={"x": 1}), Text("b", extra={"x": "one"})])


def test_a_field_cannot_hide_in_extra() -> None:
    with pytest.raises(CorpusError, match="extra holds 'topic'"):
        Text("a", extra={"topic": "b"})


def stories(count: int) -> Iterator[dict[str, str]]:
    for i in range(count):
        yield {"text": f"{i} " + "word " * 150, "emotion": f"concept {i % 171}", "topic": f"topic {i % 100}"}


def peak(corpus: Corpus) -> int:
    gc.collect()
    tracemalloc.start()
    assert corpus.count > 0
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return highest


@pytest.mark.parametrize("source", ["function", "jsonl", "parquet", "iterable dataset"])
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path, source: str) -> None:
    def corpus(count: int) -> Corpus:
        if source == "function":
            return open_corpus(lambda: stories(count))
        if source == "iterable dataset":
            return open_corpus(datasets.IterableDataset.from_generator(stories, gen_kwargs={"count": count}))
        path = tmp_path / f"{count}.{source}"
        write_texts(path, stories(count))
        return open_corpus(path)

    peak(corpus(500))
    # 20,000 of these texts are 15 MB; the slower sources get 5,000.
    small, large = peak(corpus(500)), peak(corpus(20_000 if source in ("function", "jsonl") else 5_000))
    assert large - small < 750_000
