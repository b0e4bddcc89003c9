"""The pictures of the README and the site, made by the demo: `python docs/pictures.py`."""

import re
import sys
import tempfile
from pathlib import Path

import vl_convert
from rich.console import Console

import thymos
from thymos.reports.sections import geometry_sections, validation_sections

IMAGES = Path(__file__).parent / "img"
WANTED = {"Layers": "layers", "Against baselines": "baselines", "Axes": "axes", "Cosine map": "cosines"}


def main() -> None:
    """Run the demo and write the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        result = thymos.demo(Path(folder))
    sections = validation_sections(result.validation, result.vectors) + geometry_sections(result.geometry)
    for section in sections:
        if section.title in WANTED:
            # The dark rules are for pages; a picture is light.
            drawn = re.sub(r"<style>.*?</style>", "", section.html, flags=re.S)
            (IMAGES / f"{WANTED[section.title]}.png").write_bytes(vl_convert.svg_to_png(drawn, scale=1.5))
    console = Console(record=True, width=96, file=open("/dev/null", "w"))  # noqa: SIM115 - closed with the process
    console.print(result.readings[0])
    picture = console.export_svg(title="thymos read", font_aspect_ratio=0.61)
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.S).replace("Fira Code", "monospace")
    (IMAGES / "reading.png").write_bytes(vl_convert.svg_to_png(picture, scale=1.5))
    sys.stdout.write("".join(f"{path}\n" for path in sorted(IMAGES.glob("*.png"))))


if __name__ == "__main__":
    main()
