"""Concept files: JSON, YAML and CSV in, a `Vocabulary` out.

JSON and YAML hold a list (or `{"concepts": [...]}`) whose items are words or objects with the keys `word`, `lemmas`,
`synonyms`, `cluster`, `norms` (`pleasure`, `arousal`, `dominance`, `source`) and `prompts`. CSV has the same columns,
with the four norm keys as columns of their own and lists separated by `;`. Only `word` is required.
"""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thymos import extras
from thymos.concepts.vocabulary import Concept, Norms, Vocabulary
from thymos.errors import CorpusError, ThymosError, UsageError, did_you_mean

_NORM_AXES = ("pleasure", "arousal", "dominance")
_NORM_KEYS = (*_NORM_AXES, "source")
_LIST_KEYS = ("lemmas", "synonyms", "prompts")
_KEYS = ("word", "lemmas", "synonyms", "cluster", "norms", "prompts")
_CSV_KEYS = ("word", "lemmas", "synonyms", "cluster", *_NORM_KEYS, "prompts")
_SUFFIXES = (".json", ".yaml", ".yml", ".csv")


def load_concepts(path: str | Path) -> Vocabulary:
    """Read a concept file.

    Args:
        path: A `.json`, `.yaml`, `.yml` or `.csv` file in UTF-8; the format is described in this module's docstring.

    Raises:
        UsageError: There is no such file, it cannot be opened, or its suffix is none of the four.
        CorpusError: The file is empty, is not what its suffix says, or has unknown keys, duplicates or bad norms.
        MissingExtraError: A YAML file without PyYAML.
    """
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"concept file {path} ends in {path.suffix!r}; valid endings are {', '.join(_SUFFIXES)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"concept file {path} does not exist; check the path") from None
    except UnicodeDecodeError as err:
        raise CorpusError(f"concept file {path} is not UTF-8 (byte {err.start}); save it as UTF-8") from None
    except OSError as err:
        raise UsageError(f"concept file {path} cannot be read: {err.strerror}; give a readable file") from None
    if not text.strip():
        raise CorpusError(f"concept file {path} is empty; write at least one concept")
    try:
        return parse_concepts(text, path.suffix.lower().lstrip("."))
    except CorpusError as err:
        raise CorpusError(f"concept file {path}: {err}") from None


def parse_concepts(text: str, kind: str) -> Vocabulary:
    """Parse the text of a concept file.

    Args:
        text: The file's content.
        kind: "json", "yaml", "yml" or "csv".

    Raises:
        CorpusError: The text is malformed; the message names the entry.
        UsageError: An unknown kind.
    """
    if kind == "json":
        items = _entries(_read_json(text))
    elif kind in ("yaml", "yml"):
        items = _entries(_read_yaml(text))
    elif kind == "csv":
        items = _read_csv(text)
    else:
        raise UsageError(f"unknown kind of concept file {kind!r}; valid kinds are json, yaml, yml, csv")
    return Vocabulary(tuple(_concept(item, number) for number, item in enumerate(items, start=1)))


def _read_json(text: str) -> object:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            # The standard parser keeps the last of two equal keys and says nothing.
            if key in found:
                raise CorpusError(f"key {key!r} is there twice in one object; keep one")
            found[key] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as err:
        raise CorpusError(f"invalid JSON in line {err.lineno}, column {err.colno}: {err.msg}") from None


def _read_yaml(text: str) -> object:
    yaml = extras.require("yaml", "datasets", "reading a YAML concept file")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise CorpusError(f"invalid YAML{where}: {getattr(err, 'problem', None) or 'cannot be parsed'}") from None


def _read_csv(text: str) -> list[object]:
    try:
        lines = [row for row in csv.reader(io.StringIO(text), strict=True) if any(cell.strip() for cell in row)]
    except csv.Error as err:
        raise CorpusError(f"invalid CSV: {err}") from None
    header = [name.strip() for name in lines[0]]
    _check_keys(dict.fromkeys(header), _CSV_KEYS, "header")
    if len(set(header)) < len(header):
        raise CorpusError(f"header: a column is there twice in {', '.join(header)}; keep one")
    if "word" not in header:
        raise CorpusError("header: the column 'word' is missing; the first line must name the columns")
    entries: list[object] = []
    for number, row in enumerate(lines[1:], start=1):
        if len(row) != len(header):
            raise CorpusError(
                f"concept {number}: {len(row)} cells for {len(header)} columns; quote cells that hold a comma"
            )
        entries.append(_csv_entry({key: cell.strip() for key, cell in zip(header, row, strict=True)}, number))
    return entries


def _csv_entry(cells: Mapping[str, str], number: int) -> dict[str, object]:
    entry: dict[str, object] = {"word": cells["word"]}
    for key in _LIST_KEYS:
        entry[key] = [part.strip() for part in cells.get(key, "").split(";") if part.strip()]
    if cells.get("cluster"):
        entry["cluster"] = cells["cluster"]
    norms: dict[str, object] = {key: cells[key] for key in _NORM_KEYS if cells.get(key)}
    for axis in _NORM_AXES:
        if axis in norms:
            try:
                norms[axis] = float(cells[axis])
            except ValueError:
                raise CorpusError(
                    f"concept {number} ({cells['word']!r}): norms: {axis} is {cells[axis]!r}; "
                    "write a number from -1 to 1"
                ) from None
    if norms:
        entry["norms"] = norms
    return entry


def _entries(content: object) -> list[object]:
    if isinstance(content, dict):
        _check_keys(content, ("concepts",), "top level")
        content = content.get("concepts")
    if not isinstance(content, list):
        raise CorpusError(f"the file must hold a list of concepts, not {_kind(content)}")
    return content


def _concept(item: object, number: int) -> Concept:
    where = f"concept {number}"
    if isinstance(item, str):
        item = {"word": item}
    if not isinstance(item, dict):
        raise CorpusError(
            f"{where} is {_kind(item)}; write a word (in quotes) or an object with the keys {', '.join(_KEYS)}"
        )
    word = item.get("word")
    if isinstance(word, str) and word:
        where += f" ({word!r})"
    _check_keys(item, _KEYS, where)
    if not isinstance(word, str):
        problem = "has no 'word'" if "word" not in item else f"has {_kind(word)} as its word"
        raise CorpusError(f"{where} {problem}; write the word as text in quotes")
    cluster = item.get("cluster")
    if cluster is not None and not (isinstance(cluster, str) and cluster.strip()):
        raise CorpusError(f"{where}: cluster is {_kind(cluster)}; write a name, or leave it out")
    lists = {key: _texts(item.get(key), key, where) for key in _LIST_KEYS}
    norms = _norms(item.get("norms"), where)
    try:
        return Concept(word=word, cluster=cluster, norms=norms, **lists)
    except ThymosError as err:
        raise CorpusError(f"{where}: {err}") from None


def _norms(value: object, where: str) -> Norms | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise CorpusError(f"{where}: norms is {_kind(value)}; write an object with the keys {', '.join(_NORM_KEYS)}")
    _check_keys(value, _NORM_KEYS, f"{where}: norms")
    missing = [key for key in _NORM_KEYS if key not in value]
    if missing:
        raise CorpusError(f"{where}: norms: {', '.join(missing)} missing; give all of {', '.join(_NORM_KEYS)}")
    numbers: dict[str, float] = {}
    for axis in _NORM_AXES:
        number = value[axis]
        if isinstance(number, bool) or not isinstance(number, int | float) or not -1 <= number <= 1:
            raise CorpusError(f"{where}: norms: {axis} is {_kind(number)}; write a number from -1 to 1")
        numbers[axis] = float(number)
    if not isinstance(value["source"], str):
        raise CorpusError(f"{where}: norms: source is {_kind(value['source'])}; name the study as text")
    try:
        return Norms(source=value["source"], **numbers)
    except ThymosError as err:
        raise CorpusError(f"{where}: {err}") from None


def _texts(value: object, key: str, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise CorpusError(f"{where}: {key} is {_kind(value)}; write a list of texts")
    return tuple(value)


def _check_keys(found: Mapping[Any, Any], valid: tuple[str, ...], where: str) -> None:
    for key in found:
        if key not in valid:
            near = did_you_mean(str(key), valid)
            raise CorpusError(f"{where}: unknown key {key!r}{near or ';'} valid keys are {', '.join(valid)}")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "nothing"}
    name = names.get(type(value), "")
    shown = repr(value)
    return f"{name} ({shown[:40]})" if name and value else name or shown[:40]
