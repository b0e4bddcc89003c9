"""The pictures of the README and the site: `python docs/pictures.py`, and `--reader` for those of the encoder."""

import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import vl_convert
from rich.console import Console

from thymos.figures import save
from thymos.readings import Reading
from thymos.reports.sections import geometry_sections, validation_sections
from thymos.workflows import DemoWatch, demo, reader_demo

IMAGES = Path(__file__).parent / "img"
WANTED = {"Layers": "layers", "Against baselines": "baselines", "Axes": "axes", "Cosine map": "cosines"}
SCALE = 1.5


def bundled(model: str) -> None:
    """A reading, the concept map and the steering curve of the bundled model."""
    with tempfile.TemporaryDirectory() as folder:
        result = demo(Path(folder), model, watch=DemoWatch(stage=lambda what: sys.stderr.write(f"{what} ...\n")))
    picture_of(of_concept(result.readings[0], "desperate"), IMAGES / "reading.png")
    for name, chart in zip(("map", "steering"), result.pictures, strict=True):
        save(chart, IMAGES / f"{name}.png", scale=SCALE)
    for one in result.beside:
        sys.stdout.write(" | ".join(one.row()) + "\n")


def reader() -> None:
    """Layers, baselines, axes and cosines of the encoder."""
    with tempfile.TemporaryDirectory() as folder:
        result = reader_demo(Path(folder))
    sections = validation_sections(result.validation, result.vectors) + geometry_sections(result.geometry)
    for section in sections:
        if section.title in WANTED:
            # The dark rules are for pages; a picture is light.
            drawn = re.sub(r"<style>.*?</style>", "", section.html, flags=re.S)
            (IMAGES / f"{WANTED[section.title]}.png").write_bytes(vl_convert.svg_to_png(drawn, scale=SCALE))


def of_concept(reading: Reading, concept: str) -> Reading:
    """The part of a reading that is about one concept."""
    place = reading.concepts.index(concept)
    return replace(reading, concepts=(concept,), scores=reading.scores[:, :, place : place + 1])


def picture_of(reading: Reading, path: Path) -> None:
    """A reading as a terminal shows it."""
    console = Console(record=True, width=96, file=open("/dev/null", "w"))  # noqa: SIM115 - closed with the process
    console.print(reading)
    picture = console.export_svg(title="thymos read", font_aspect_ratio=0.61)
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.S).replace("Fira Code", "monospace")
    path.write_bytes(vl_convert.svg_to_png(picture, scale=1.0))


def main() -> None:
    """Make the pictures; a model other than the bundled one may be named."""
    IMAGES.mkdir(exist_ok=True)
    if "--reader" in sys.argv:
        reader()
    else:
        bundled(sys.argv[1] if len(sys.argv) > 1 else "bundled")
    sys.stdout.write("".join(f"{path}\n" for path in sorted(IMAGES.glob("*.png"))))


if __name__ == "__main__":
    main()
