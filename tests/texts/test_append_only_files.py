import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thymos.errors import CorpusError, StorageError
from thymos.texts import AppendOnly


def test_rows_are_there_when_append_returns(tmp_path: Path) -> None:
    log = AppendOnly(tmp_path / "deep" / "x.jsonl")
    assert list(log.rows()) == []
    log.append([])
    assert not log.path.exists()
    log.append([{"text": "é"}, {"n": 2}])
    log.append([{"n": 3}])
    assert list(log.rows()) == list(AppendOnly(log.path).rows()) == [{"text": "é"}, {"n": 2}, {"n": 3}]


@given(cut=st.integers(0, 60), last=st.text(max_size=70_000))
@settings(max_examples=40, deadline=None)
def test_a_torn_last_line_is_cut_off(tmp_path_factory: pytest.TempPathFactory, cut: int, last: str) -> None:
    path = tmp_path_factory.mktemp("torn") / "x.jsonl"
    AppendOnly(path).append([{"n": 1}, {"n": 2, "text": last}])
    whole = path.read_bytes()
    path.write_bytes(whole[: max(len(whole) - cut, 9)])
    rows = list(AppendOnly(path).rows())
    # Without its line feed alone, the last line is still whole.
    assert rows == ([{"n": 1}, {"n": 2, "text": last}] if cut <= 1 else [{"n": 1}])
    AppendOnly(path).append([{"n": 3}])
    assert list(AppendOnly(path).rows())[-1] == {"n": 3}


def test_a_file_that_is_nothing_but_a_torn_line_becomes_empty(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"n": ')
    assert list(AppendOnly(tmp_path / "x.jsonl").rows()) == []


def test_a_changed_middle_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"n": 1}\nnonsense\n{"n": 3}\n')
    with pytest.raises(CorpusError, match="line 2 is not a JSON object"):
        list(AppendOnly(tmp_path / "x.jsonl").rows())


def test_a_full_disk_leaves_none_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AppendOnly(tmp_path / "x.jsonl")
    log.append([{"n": 1}])

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no space left"):
        log.append([{"n": 2}])
    assert list(log.rows()) == [{"n": 1}]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        AppendOnly(tmp_path / "file" / "x.jsonl")
