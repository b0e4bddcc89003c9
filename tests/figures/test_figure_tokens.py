import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from thymos.errors import UsageError
from thymos.figures import (
    TEXT_MAPS,
    LensRow,
    TokenNotes,
    kmeans_table,
    logit_lens_table,
    token_heatmap_html,
    token_heatmap_text,
)
from thymos.figures._html import level, visible

TOKENS = ["<s>", "I", " feel", " fine", "\n\n", "<script>alert('x')</script>", "."]
SCORES = np.array([0.9, 0.0, 0.05, 0.1, -0.1, -0.05, 0.02], dtype=np.float32)
NOTES = TokenNotes(
    special=np.array([True] + [False] * 6),
    roles=[None, "user", "user", "user", "user", "assistant", "assistant"],
    top=["", "calm +0.1"] + [""] * 4 + ['a "quoted" <word>'],
    first=10,
)


class _Spans(HTMLParser):
    """Class and hover text of every token, and all tags seen."""

    def __init__(self, page: str):
        super().__init__()
        self.spans, self.tags = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        found = dict(attrs)
        if tag == "span" and "title" in found:
            self.spans.append((found["class"], found["title"]))


def _page(**changes) -> str:
    given = {"title": "A <b>title</b>", "concept": "calm", "notes": NOTES} | changes
    return token_heatmap_html(TOKENS, SCORES, **given)


def test_everything_from_outside_is_escaped():
    page = _page(concept="<i>calm</i>")
    parsed = _Spans(page)
    assert "script" not in parsed.tags
    assert "b" in parsed.tags  # the role headings
    assert "i" in parsed.tags  # the legend
    assert "<script" not in page
    assert "<i>calm" not in page
    assert "<b>title" not in page
    assert "&lt;script&gt;" in page


def test_colours_are_symmetric_about_the_baseline():
    classes = [name for name, _ in _Spans(_page()).spans]
    assert classes == ["special", "zero", "p5", "p10", "n10", "n5", "p2"]
    shifted = [name for name, _ in _Spans(_page(notes=TokenNotes(baseline=0.05, limit=0.05))).spans]
    assert shifted[1] == "n10"
    assert shifted[2] == "zero"
    assert shifted[3] == "p10"
    for share in (0.04, 0.31, 1.0, 7.0):
        assert level(share).replace("p", "n") == level(-share)


def test_both_schemes_are_in_the_style_sheet_with_one_colour_per_level():
    light, dark = _page().split("@media (prefers-color-scheme: dark)")
    assert TEXT_MAPS["light"].colour(1.0) in light
    assert TEXT_MAPS["dark"].colour(1.0) in dark
    assert TEXT_MAPS["dark"].colour(-1.0) not in light
    assert "'Segoe UI'" in light


def test_hover_text_holds_value_place_and_top_concepts():
    spans = _Spans(_page()).spans
    assert spans[1][1] == "I\ncalm +0.000 (cosine) · token 11, user\ntop: calm +0.1"
    assert spans[0][1].endswith("token 10, special")
    assert spans[4][1].startswith("↵↵\ncalm −0.100")
    assert spans[6][1].endswith('top: a "quoted" <word>')


def test_newlines_are_shown_and_break_the_line():
    assert ">↵\n↵\n</span>" in _page()
    assert visible("\ta\r\x00") == "⇥a␍�"


def test_the_numbers_are_there_without_the_colours():
    page = _page()
    assert page.count("<tr>") == len(TOKENS) + 1
    assert '<td class="number">10</td><td>&lt;s&gt;</td><td></td><td class="number">+0.900</td>' in page
    assert "n = 6 tokens, mean +0.003, highest “fine” +0.100, lowest “↵↵” −0.100" in page
    assert 'aria-label="A &lt;b&gt;title' in page


def test_the_legend_is_in_the_unit():
    assert "cosine similarity, centred at 0; special tokens" in _page()
    z_page = _page(unit="z", notes=TokenNotes())
    assert "z-score (standard deviations of the reference set), centred at 0" in z_page
    assert "−3.00" in z_page  # a scale of z-scores never ends below 3
    assert "special tokens are" not in z_page


def test_noise_stays_pale_and_nothing_is_coloured_without_need():
    faint = token_heatmap_html(["a", "b"], np.array([0.001, -0.001]), title="t", concept="calm")
    assert [name for name, _ in _Spans(faint).spans] == ["zero", "zero"]
    all_special = TokenNotes(special=np.array([True, True]))
    page = token_heatmap_html(["a", "b"], np.array([0.5, 0.1]), title="t", concept="calm", notes=all_special)
    assert "2 tokens, all special" in page


def test_nothing_runs_and_nothing_is_loaded():
    page = _page()
    for word in ("http", "url(", "@import", "src=", "href", "onclick", "<link"):
        assert word not in page, word


def test_the_same_data_gives_the_same_bytes_and_other_data_another_id():
    assert _page() == _page()
    ids = {re.search(r'id="(t\w+)"', page)[1] for page in (_page(), _page(concept="proud"))}
    assert len(ids) == 2


def test_the_terminal_version_shows_text_colours_and_legend():
    text = token_heatmap_text(TOKENS, SCORES, title="A title", concept="calm", notes=NOTES)
    for part in (
        "A title",
        "[user]",
        "[assistant]",
        " feel fine↵\n↵\n",
        "<script>",
        "−0.100",
        "+0.100",
        "centred at 0",
    ):
        assert part in text.plain, part
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system="truecolor", width=80).print(text)
    red, green, blue = (int(TEXT_MAPS["dark"].colour(1.0)[i : i + 2], 16) for i in (1, 3, 5))
    assert f"48;2;{red};{green};{blue}" in out.getvalue()


@pytest.mark.parametrize(
    ("tokens", "scores", "notes", "message"),
    [
        ([], np.array([]), TokenNotes(), "no values"),
        (["a"], np.array([np.nan]), TokenNotes(), "NaN"),
        (["a", "b"], np.array([0.1]), TokenNotes(), "2 tokens.*'scores': 1"),
        (["a"], np.array([0.1]), TokenNotes(roles=["user", "user"]), "'roles': 2"),
        (["a"], np.array([0.1]), TokenNotes(limit=0.0), "limit 0.0"),
    ],
)
def test_bad_input_is_refused(tokens, scores, notes, message):
    for draw in (token_heatmap_html, token_heatmap_text):
        with pytest.raises(UsageError, match=message):
            draw(tokens, scores, title="t", concept="calm", notes=notes)


def test_tables_hold_their_rows_escaped(caption):
    lens = logit_lens_table(
        [LensRow("calm", [" calm", "\n", "<b>"], [" panic"], "1"), LensRow("afraid", [], [" <i>"])],
        caption=caption,
        note="rank",
    )
    for part in (
        "<code> calm</code>",
        "<code>↵</code>",
        "&lt;b&gt;",
        "&lt;i&gt;",
        ">rank<",
        caption.question,
        caption.n,
    ):
        assert part in lens, part
    assert "rank" not in logit_lens_table([LensRow("calm", ["a"], ["b"])], caption=caption, note="rank")
    clusters = kmeans_table({"1": ["calm", "serene"], "2": ["afraid"]}, caption=caption)
    assert '<td class="number">2</td><td>calm, serene</td>' in clusters
    assert "http" not in lens + clusters
    for call in (lambda: logit_lens_table([], caption=caption), lambda: kmeans_table({}, caption=caption)):
        with pytest.raises(UsageError, match="at least one"):
            call()
