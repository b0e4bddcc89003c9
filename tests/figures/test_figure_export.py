import json
import re
import xml.etree.ElementTree as ElementTree

import altair as alt
import pandas as pd
import pytest

from thymos.errors import StorageError, UsageError
from thymos.figures import Caption, recall_by_layer, save, to_html, to_png, to_svg
from thymos.figures.theme import INK, PAGE, PAPER


@pytest.fixture
def chart(caption, layers):
    return recall_by_layer(layers, caption=caption, chance=0.1)


def test_every_suffix_writes_its_format(chart, tmp_path):
    starts = {".png": b"\x89PNG", ".svg": b"<svg", ".html": b"<!DOCTYPE html>", ".json": b"{"}
    for suffix, start in starts.items():
        path = save(chart, tmp_path / f"sweep{suffix}")
        assert path.read_bytes().startswith(start)
    spec = json.loads((tmp_path / "sweep.json").read_text())
    assert spec["description"].startswith("Do the vectors")


def test_the_same_chart_gives_the_same_bytes(chart, tmp_path):
    for suffix in (".png", ".svg", ".html", ".json"):
        one, other = (save(chart, tmp_path / f"{name}{suffix}").read_bytes() for name in "ab")
        assert one == other


def test_an_unknown_suffix_and_an_unwritable_place_are_refused(chart, tmp_path):
    with pytest.raises(UsageError, match=r"'.gif'.*\.png, \.svg, \.html, \.json"):
        save(chart, tmp_path / "sweep.gif")
    with pytest.raises(UsageError, match="'sweep'"):
        save(chart, tmp_path / "sweep")
    with pytest.raises(StorageError, match="No such file or directory"):
        save(chart, tmp_path / "nowhere" / "sweep.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        save(chart, tmp_path / "folder.json")


def test_the_svg_is_well_formed_and_says_what_it_shows(chart, caption):
    root = ElementTree.fromstring(to_svg(chart))
    assert root.get("role") == "img"
    space = "{http://www.w3.org/2000/svg}"
    title, description = root.find(f"{space}title"), root.find(f"{space}desc")
    assert root.get("aria-labelledby") == title.get("id")
    assert root.get("aria-describedby") == description.get("id")
    assert title.text == f"{caption.question} {caption.answer}"
    for part in (caption.mark, caption.n, caption.chance, caption.passing):
        assert part in description.text


def test_captions_are_escaped(layers):
    caption = Caption("Is 1 < 2 & </svg><script>?", "Yes.", "m", "n = 1")
    svg = to_svg(recall_by_layer(layers, caption=caption))
    assert "<script" not in svg
    assert ElementTree.fromstring(svg).find("{http://www.w3.org/2000/svg}title").text.startswith("Is 1 < 2 & </svg>")
    assert "<script" not in to_html(recall_by_layer(layers, caption=caption))


def test_nothing_is_loaded_and_nothing_runs(chart):
    for text in (to_svg(chart), to_html(chart)):
        rest = re.sub(r'xmlns(:xlink)?="[^"]+"', "", text)
        for word in ("http", "<script", "@import", "@font-face", "src=", "<link", "<image"):
            assert word not in rest, word


def test_ids_of_two_charts_on_one_page_do_not_meet(layers, caption):
    coloured = (
        alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]})).mark_line(clip=True).encode(x="x", y="y", color="x:Q")
    )
    other = alt.Chart(pd.DataFrame({"x": [0, 2], "y": [0, 1]})).mark_line(clip=True).encode(x="x", y="y", color="x:Q")
    pages = [to_svg(one) for one in (coloured, other)]
    ids = [set(re.findall(r'\bid="([^"]+)"', page)) for page in pages]
    assert not ids[0] & ids[1]
    for page, known in zip(pages, ids, strict=True):
        used = set(re.findall(r"url\(#([^)]+)\)", page))
        assert used
        assert used <= known


def test_schemes_of_svg_html_and_png(chart):
    dark_paper, dark_ink = PAGE["dark"][PAPER], PAGE["dark"][INK]
    auto, light, dark = (to_svg(chart, scheme=scheme) for scheme in ("auto", "light", "dark"))
    assert f'fill="{PAPER}"' in auto
    assert "@media (prefers-color-scheme: dark)" in auto
    assert f"[fill='{PAPER}']{{fill:{dark_paper}}}" in auto
    assert dark_paper not in light
    assert PAPER not in dark
    assert f'fill="{dark_ink}"' in dark
    assert f"background: {dark_paper}" in to_html(chart, scheme="dark")
    assert to_png(chart, scheme="dark", scale=1.0) != to_png(chart, scale=1.0)


def test_dark_files_can_be_asked_for(chart, tmp_path):
    assert PAPER not in save(chart, tmp_path / "a.svg", scheme="dark").read_text()
    assert PAPER not in save(chart, tmp_path / "a.json", scheme="dark").read_text()


def test_a_chart_without_a_caption_still_has_a_name():
    plain = alt.Chart(pd.DataFrame({"x": [1], "y": [1]})).mark_point().encode(x="x", y="y")
    assert ">Chart</title>" in to_svg(plain)
    assert ">A plain title</title>" in to_svg(plain.properties(title="A plain title"))
