import math

import pytest

from thymos.figures import CHART_MAP, OKABE_ITO, TEXT_MAPS, DivergingMap, contrast_ratio, sequential
from thymos.figures.colours import category, luminance
from thymos.figures.theme import INK, MUTED, PAGE, PAPER, recolour

MAPS = {"chart": CHART_MAP, **TEXT_MAPS}


def _oklab(colour: str) -> tuple[float, float, float]:
    """The inverse of the conversion under test, written from the published matrices."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    )
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("value", [0.1, 0.35, 0.7, 1.0])
def test_a_value_and_its_negative_look_equally_strong(name, value):
    above, below = (_oklab(MAPS[name].colour(sign * value)) for sign in (1, -1))
    assert above[0] == pytest.approx(below[0], abs=0.006)
    # Equal chroma: also the proof that no colour was clipped at the edge of sRGB.
    assert math.hypot(*above[1:]) == pytest.approx(math.hypot(*below[1:]), abs=0.008)
    assert MAPS[name].colour(value) != MAPS[name].colour(-value)


@pytest.mark.parametrize("name", MAPS)
def test_the_centre_is_grey_and_strength_grows_with_distance(name):
    centre = MAPS[name].colour(0.0)
    assert len({centre[1:3], centre[3:5], centre[5:7]}) == 1
    for sign in (1, -1):
        lightness = [_oklab(MAPS[name].colour(sign * step / 10))[0] for step in range(11)]
        assert lightness == sorted(lightness, reverse=name != "dark")


def test_values_beyond_the_scale_get_the_end_colours():
    assert CHART_MAP.colour(3.0) == CHART_MAP.colour(1.0)
    assert CHART_MAP.colour(-3.0) == CHART_MAP.colour(-1.0)
    assert CHART_MAP.stops(21)[10] == CHART_MAP.colour(0.0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_on_the_map_and_on_the_page_can_be_read(scheme):
    page = PAGE[scheme]
    for colour in TEXT_MAPS[scheme].stops(201):
        assert contrast_ratio(colour, page[INK]) >= 4.5
    assert contrast_ratio(page[MUTED], page[PAPER]) >= 4.5
    assert contrast_ratio(page[INK], page[PAPER]) >= 7
    for colour in OKABE_ITO[:3]:
        assert contrast_ratio(colour, page[PAPER]) >= 3


def test_contrast_ratio_matches_the_published_extremes():
    assert contrast_ratio("#000000", "#ffffff") == pytest.approx(21)
    assert contrast_ratio("#777777", "#777777") == 1
    assert luminance("#ffffff") == pytest.approx(1)


def test_the_sequential_map_only_gets_darker():
    lights = [luminance(colour) for colour in sequential(33)]
    assert lights == sorted(lights, reverse=True)


def test_categories_begin_again_and_maps_can_be_made():
    assert category(len(OKABE_ITO)) == OKABE_ITO[0]
    assert DivergingMap(centre=0.9, end=0.5, chroma=0.0).colour(1.0)[1:3] == "63"


def test_dark_pages_share_no_colour_with_light_ones():
    # `recolour` exchanges one after the other: a dark value that is also a light key would be exchanged twice.
    assert not set(PAGE["dark"].values()) & set(PAGE["light"])
    assert recolour(f"{PAPER} {INK}", "dark") == f"{PAGE['dark'][PAPER]} {PAGE['dark'][INK]}"
