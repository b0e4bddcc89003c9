"""Colours that survive colour blindness, a dark page and a black-and-white printer.

The diverging and sequential maps are built in OKLCH (Ottosson 2020, "A perceptual color space for image
processing"), where equal steps of lightness look equal. A value and its negative get the same lightness and the same
chroma and differ in hue alone (blue below, orange above), so neither side looks stronger than the other.
"""

import math
from dataclasses import dataclass
from typing import Literal

Scheme = Literal["light", "dark"]

OKABE_ITO: tuple[str, ...] = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7f7f7f",
    "#b8a800",
)
"""Categories (Okabe & Ito 2008), strongest contrast first; black became grey and yellow darker, so that both show on a
white and on a black page."""


@dataclass(frozen=True)
class DivergingMap:
    """A map from -1..1 to colours: one neutral centre, two hues of equal lightness and chroma.

    Attributes:
        centre: OKLCH lightness at 0.
        end: OKLCH lightness at -1 and at 1.
        chroma: Greatest OKLCH chroma.
        peak: Distance from 0 at which it is (or would be) reached: chroma has little room in very light and in very
            dark colours, so maps that begin or end there rise late or peak early.
        below: Hue of negative values in degrees.
        above: Hue of positive values in degrees.
    """

    centre: float
    end: float
    chroma: float
    peak: float = 1.0
    below: float = 252.0
    above: float = 58.0

    def colour(self, value: float) -> str:
        """The colour of one value as `#rrggbb`; values beyond -1..1 get the end colours."""
        strength = min(1.0, abs(value))
        lightness = self.centre + (self.end - self.centre) * strength
        return _oklch(
            lightness,
            self.chroma * math.sin(math.pi / 2 * strength / self.peak),
            self.above if value > 0 else self.below,
        )

    def stops(self, count: int = 21) -> list[str]:
        """Evenly spaced colours from -1 to 1, for a scale's range; an odd count includes the centre."""
        return [self.colour(2 * index / (count - 1) - 1) for index in range(count)]


CHART_MAP = DivergingMap(centre=0.97, end=0.44, chroma=0.129, peak=0.7)
"""For marks without text on them: the same on a light and on a dark page."""

TEXT_MAPS: dict[Scheme, DivergingMap] = {
    "light": DivergingMap(centre=0.985, end=0.7, chroma=0.14, peak=1.4),
    "dark": DivergingMap(centre=0.235, end=0.47, chroma=0.1),
}
"""For text on a coloured ground: the whole map keeps a contrast of at least 4.5 with the page's ink."""


def sequential(count: int = 9) -> list[str]:
    """Colours from nearly white to dark blue, for values that start at 0."""
    steps = [index / (count - 1) for index in range(count)]
    return [_oklch(0.975 - 0.605 * step, 0.125 * math.sin(math.pi * step * 0.62), 252.0) for step in steps]


def category(index: int) -> str:
    """The Okabe-Ito colour of a category; categories beyond the eighth begin again (tell them apart by shape)."""
    return OKABE_ITO[index % len(OKABE_ITO)]


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, 0 to 1 (WCAG 2.2)."""
    red, green, blue = (_linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast_ratio(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21; text needs 4.5 (WCAG 2.2, success criterion 1.4.3)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)


def _encoded(channel: float) -> float:
    return 12.92 * channel if channel <= 0.0031308 else float(1.055 * channel ** (1 / 2.4) - 0.055)


def _oklch(lightness: float, chroma: float, hue: float) -> str:
    """OKLCH to `#rrggbb`; channels outside sRGB are clipped (the maps above stay inside, which the tests check)."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    rgb = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(255 * _encoded(min(1.0, max(0.0, channel)))):02x}" for channel in rgb)
