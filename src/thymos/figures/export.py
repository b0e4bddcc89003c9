"""Charts as files: PNG, SVG, HTML and JSON, made without a browser, a network or a display."""

import hashlib
import html
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import altair as alt
import vl_convert

from thymos.errors import StorageError, UsageError
from thymos.figures.colours import Scheme
from thymos.figures.theme import PAGE, AnyChart, recolour

SUFFIXES = (".png", ".svg", ".html", ".json")

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ margin: 0; padding: 16px; background: {paper}; }}
svg {{ max-width: 100%; height: auto; }}
@media (prefers-color-scheme: dark) {{ body {{ background: {dark_paper}; }} }}
</style>
</head>
<body>
{svg}
</body>
</html>
"""


def save(chart: AnyChart, path: str | Path, *, scheme: Scheme = "light", scale: float = 2.0) -> Path:
    """Write a chart; the suffix chooses the format.

    `.svg` and `.html` follow the reader's light or dark setting if `scheme` is left at "light"; `.png` cannot. `.json`
    is the Vega-Lite specification.

    Args:
        chart: Any chart of this package.
        path: Where to; one of the suffixes `.png`, `.svg`, `.html`, `.json`.
        scheme: "dark" for a file that is always dark.
        scale: Pixels of a PNG per pixel of the chart.

    Returns:
        The path.

    Raises:
        UsageError: Another suffix.
        StorageError: The file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"cannot save a chart as {target.suffix or target.name!r}; known suffixes: {', '.join(SUFFIXES)}"
        )
    follow: Literal["auto", "dark"] = "dark" if scheme == "dark" else "auto"
    if suffix == ".png":
        content = to_png(chart, scheme=scheme, scale=scale)
    elif suffix == ".svg":
        content = to_svg(chart, scheme=follow).encode()
    elif suffix == ".html":
        content = to_html(chart, scheme=follow).encode()
    else:
        content = (json.dumps(json.loads(_spec(chart, scheme)), indent=1, sort_keys=True) + "\n").encode()
    try:
        target.write_bytes(content)
    except OSError as err:
        reason = err.strerror or str(err)
        raise StorageError(
            f"cannot write {target}: {reason}; choose a folder that exists and may be written to"
        ) from err
    return target


def to_png(chart: AnyChart, *, scheme: Scheme = "light", scale: float = 2.0) -> bytes:
    """The chart as PNG bytes."""
    return bytes(vl_convert.vegalite_to_png(_spec(chart, scheme), vl_version=_version(), scale=scale))


def to_svg(chart: AnyChart, *, scheme: Literal["auto", "light", "dark"] = "auto") -> str:
    """The chart as an SVG element for a self-contained page: no network, no script, no font file.

    It has `role="img"` and the caption as its accessible title and description. All its ids begin with a hash of its
    content, so that several fit on one page.

    Args:
        chart: Any chart of this package.
        scheme: "auto" is light, and dark for readers who asked for dark pages.
    """
    drawn = str(vl_convert.vegalite_to_svg(_spec(chart, "light"), vl_version=_version()))
    if scheme == "dark":
        drawn = recolour(drawn, "dark")
    spec = chart.to_dict()
    name = "f" + hashlib.sha256((drawn + scheme).encode()).hexdigest()[:10]
    drawn = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', drawn)
    drawn = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", drawn)
    drawn = re.sub(r'(xlink:href|href)="#([^"]+)"', rf'\1="#{name}-\2"', drawn)
    title, description = (html.escape(text) for text in _words(spec))
    head = f'<title id="{name}-title">{title}</title><desc id="{name}-desc">{description}</desc>'
    if scheme == "auto":
        head += f"<style>{_dark_rules(name)}</style>"
    opened = f'<svg id="{name}" role="img" aria-labelledby="{name}-title" aria-describedby="{name}-desc"'
    start = drawn.index("<svg")
    body = drawn.index(">", start) + 1
    return opened + drawn[start + len("<svg") : body] + head + drawn[body:]


def to_html(chart: AnyChart, *, scheme: Literal["auto", "light", "dark"] = "auto") -> str:
    """The chart as a whole page with the SVG inside: nothing is loaded, nothing runs."""
    title = html.escape(_words(chart.to_dict())[0])
    light, dark = (next(iter(PAGE[name].values())) for name in ("light", "dark"))
    papers = {"auto": (light, dark), "light": (light, light), "dark": (dark, dark)}[scheme]
    return _PAGE.format(title=title, svg=to_svg(chart, scheme=scheme), paper=papers[0], dark_paper=papers[1])


def _spec(chart: AnyChart, scheme: Scheme) -> str:
    text = json.dumps(chart.to_dict())
    return recolour(text, scheme) if scheme == "dark" else text


@lru_cache(maxsize=1)
def _version() -> str | None:
    """Altair's own Vega-Lite version if the converter has it, else the converter's newest."""
    wanted = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return wanted if wanted in vl_convert.get_vegalite_versions() else None


def _words(spec: dict[str, Any]) -> tuple[str, str]:
    title = spec.get("title", "Chart")
    text = title.get("text", "Chart") if isinstance(title, dict) else title
    line = " ".join(text) if isinstance(text, list) else str(text)
    return line, str(spec.get("description", line))


def _dark_rules(name: str) -> str:
    """CSS that exchanges the page colours of one SVG: rules outrank presentation attributes."""
    rules = "".join(
        f"#{name} [{attribute}='{light}']{{{attribute}:{dark}}}"
        for light, dark in PAGE["dark"].items()
        for attribute in ("fill", "stroke")
    )
    return f"@media (prefers-color-scheme: dark){{{rules}}}"
