import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thymos.concepts import Concept, Norms, Vocabulary, load_concepts, parse_concepts
from thymos.errors import CorpusError, MissingExtraError, ThymosError, UsageError

OWN = Vocabulary(
    (
        Concept(
            "wistful",
            lemmas=("wistfully",),
            synonyms=("yearning", "longing"),
            cluster="Longing",
            norms=Norms(0.1, -0.2, -0.3, "our own raters"),
            prompts=("The old house, seen from the train.", "A letter kept for years."),
        ),
        Concept("placid"),
    )
)

JSON = """[
  {"word": "wistful", "lemmas": ["wistfully"], "synonyms": ["yearning", "longing"], "cluster": "Longing",
   "norms": {"pleasure": 0.1, "arousal": -0.2, "dominance": -0.3, "source": "our own raters"},
   "prompts": ["The old house, seen from the train.", "A letter kept for years."]},
  "placid"
]"""

YAML = """
- word: wistful
  lemmas: [wistfully]
  synonyms: [yearning, longing]
  cluster: Longing
  norms: {pleasure: 0.1, arousal: -0.2, dominance: -0.3, source: our own raters}
  prompts:
    - The old house, seen from the train.
    - A letter kept for years.
- placid
"""

CSV = (
    "word,lemmas,synonyms,cluster,pleasure,arousal,dominance,source,prompts\n"
    "wistful,wistfully,yearning; longing,Longing,0.1,-0.2,-0.3,our own raters,"
    '"The old house, seen from the train.; A letter kept for years."\n'
    "placid,,,,,,,,\n"
)


@pytest.mark.parametrize(("name", "text"), [("a.json", JSON), ("a.yaml", YAML), ("a.YML", YAML), ("a.csv", CSV)])
def test_the_three_formats_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert load_concepts(path) == OWN
    assert load_concepts(str(path)) == OWN


def test_a_mapping_with_concepts_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"concepts": ["placid"]}), encoding="utf-8-sig")
    assert load_concepts(path).words == ("placid",)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.json does not exist; check the path"):
        load_concepts(tmp_path / "no.json")
    with pytest.raises(UsageError, match=r"ends in '\.txt'; valid endings are \.json, \.yaml, \.yml, \.csv"):
        load_concepts(tmp_path / "words.txt")
    folder = tmp_path / "folder.json"
    folder.mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        load_concepts(folder)


def test_empty_and_undecodable_files(tmp_path: Path) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text(" \n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"empty\.yaml is empty; write at least one concept"):
        load_concepts(empty)
    latin = tmp_path / "latin.csv"
    latin.write_bytes("word\nna\u00efve\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"not UTF-8 \(byte 7\); save it as UTF-8"):
        load_concepts(latin)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "invalid JSON in line 1, column 2"),
        ("[]", "vocabulary is empty"),
        ("3", "must hold a list of concepts, not 3"),
        ("null", "must hold a list of concepts, not nothing"),
        ('{"words": ["a"]}', "top level: unknown key 'words'.*valid keys are concepts"),
        ('["a", "A"]', "concept 'A' is there twice"),
        ("[1]", "concept 1 is 1; write a word"),
        ('[{"lemmas": []}]', "concept 1 has no 'word'"),
        ('[{"word": null}]', "concept 1 has nothing as its word"),
        ('[{"word": "a", "word": "b"}]', "key 'word' is there twice in one object"),
        ('["a", {"word": "b", "lemas": []}]', r"concept 2 \('b'\): unknown key 'lemas'; did you mean 'lemmas'\?"),
        ('[{"word": "a", "lemmas": "as"}]', "lemmas is a text.*write a list of texts"),
        ('[{"word": "a", "synonyms": [1]}]', "synonyms is a list.*write a list of texts"),
        ('[{"word": "a", "synonyms": [""]}]', "synonyms: '' is empty"),
        ('[{"word": " a"}]', "has blanks at its ends"),
        ('[{"word": "a", "cluster": 3}]', "cluster is 3; write a name"),
        ('[{"word": "a", "norms": 3}]', "norms is 3; write an object"),
        ('[{"word": "a", "norms": {"pleasure": 0.1}}]', "norms: arousal, dominance, source missing"),
        ('[{"word": "a", "norms": {"valence": 0.1}}]', "norms: unknown key 'valence'"),
    ],
)
def test_json_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message) as caught:
        parse_concepts(text, "json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["1.5", "NaN", "true", '"high"', "-Infinity", "1" * 400])
def test_bad_norms_are_refused(value: str) -> None:
    norms = f'{{"pleasure": {value}, "arousal": 0, "dominance": 0, "source": "s"}}'
    with pytest.raises(CorpusError, match=r"concept 1 \('a'\): norms: pleasure is .* from -1 to 1"):
        parse_concepts(f'[{{"word": "a", "norms": {norms}}}]', "json")


def test_a_norm_needs_a_source() -> None:
    text = '[{"word": "a", "norms": {"pleasure": 0, "arousal": 0, "dominance": 0, "source": %s}}]'
    with pytest.raises(CorpusError, match="source is 3; name the study"):
        parse_concepts(text % "3", "json")
    with pytest.raises(CorpusError, match="source is empty"):
        parse_concepts(text % '""', "json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- [", "invalid YAML in line"),
        ("- no", "concept 1 is False; write a word"),
        ("word: calm", "top level: unknown key 'word'"),
        ("calm", "must hold a list of concepts, not a text"),
    ],
)
def test_yaml_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message) as caught:
        parse_concepts(text, "yaml")
    assert "\n" not in str(caught.value)


def test_yaml_without_pyyaml_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError, match=r"reading a YAML concept file needs the package 'yaml'"):
        parse_concepts("- calm", "yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("calm\nsad\n", "header: unknown key 'calm'.*valid keys are word"),
        ("lemmas\ncalmly\n", "header: the column 'word' is missing"),
        ("word,word\ncalm,calm\n", "header: a column is there twice"),
        ("word,cluster\ncalm\n", "concept 1: 1 cells for 2 columns"),
        ("word\n", "vocabulary is empty"),
        ("word,cluster\n,Peace\n", "word: '' is empty"),
        ("word,pleasure\ncalm,high\n", r"concept 1 \('calm'\): norms: pleasure is 'high'"),
        ("word,pleasure\ncalm,0.4\n", "norms: arousal, dominance, source missing"),
        ("word,pleasure,arousal,dominance,source\ncalm,nan,0,0,s\n", "norms: pleasure is nan"),
        ('word\n"calm', "invalid CSV"),
    ],
)
def test_csv_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        parse_concepts(text, "csv")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown kind of concept file 'toml'"):
        parse_concepts("", "toml")


words = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=12)


@given(st.lists(words, min_size=1, max_size=8, unique_by=str.casefold), st.lists(words, max_size=3))
def test_json_round_trip(names: list[str], lemmas: list[str]) -> None:
    text = json.dumps([{"word": name, "lemmas": lemmas} for name in names])
    read = parse_concepts(text, "json")
    assert read.words == tuple(names)
    assert all(concept.lemmas == tuple(lemmas) for concept in read)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["word", "norms", "lemmas", "concepts", "pleasure", "source"]), inner)
    ),
    max_leaves=8,
)


@given(json_values)
def test_no_json_value_escapes_the_error_tree(value: object) -> None:
    try:
        parse_concepts(json.dumps(value), "json")
    except ThymosError as err:
        assert str(err)


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text('["calm", "calm"]', encoding="utf-8")
    with pytest.raises(CorpusError, match=r"concept file .*own\.json: concept 'calm' is there twice"):
        load_concepts(path)
