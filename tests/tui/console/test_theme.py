"""Colours of the console: those for colour-blind eyes are told apart by simulated ones, and all are read easily."""

import itertools

import pytest
from textual.color import Color
from textual.theme import Theme

from claf_tui.console.readable import contrast
from claf_tui.console.theme import COLOUR_BLIND, COLOUR_BLIND_LIGHT, CONTRAST, THEME, THEMES
from claf_tui.widgets.glyphs import PHASE_GLYPHS
from claf_tui.words.theme_names import SUMMARIES

EYES = {  # Machado, Oliveira, Fernandes 2009, severity 1, in linear RGB
    "all colours": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
ROLES = ("primary", "secondary", "accent", "success", "warning", "error")


def colours(theme: Theme) -> dict[str, Color]:
    return {role: Color.parse(getattr(theme, role)) for role in ROLES}


def linear(colour: Color) -> list[float]:
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized]


def lab(colour: Color, eye: str) -> tuple[float, float, float]:
    red, green, blue = (
        min(1.0, max(0.0, sum(weight * part for weight, part in zip(row, linear(colour), strict=True))))
        for row in EYES[eye]
    )
    xyz = (
        (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047,
        0.2126 * red + 0.7152 * green + 0.0722 * blue,
        (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883,
    )
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def smallest_distance(theme: Theme, eye: str) -> float:
    """CIE76 between the two colours of a theme that are most alike to an eye; 2.3 is just seen, side by side."""
    seen = [lab(colour, eye) for colour in colours(theme).values()]
    return min(
        sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
        for one, other in itertools.combinations(seen, 2)
    )


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize(("theme", "least"), [(COLOUR_BLIND, 20), (COLOUR_BLIND_LIGHT, 15)])
def test_colours_for_colour_blind_eyes_are_told_apart(theme: Theme, least: float, eye: str) -> None:
    assert smallest_distance(theme, eye) > least


def test_those_of_the_default_theme_are_not_so_far_apart() -> None:
    assert smallest_distance(THEME, "deuteranopia") < 15


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_every_colour_is_read_on_the_background_of_its_theme(theme: Theme) -> None:
    least = 7.0 if theme is CONTRAST else 4.5
    background = Color.parse(theme.background or "")
    for role, colour in {**colours(theme), "foreground": Color.parse(theme.foreground or "")}.items():
        assert contrast(background, colour) >= least, role


def test_a_phase_is_told_by_its_sign_alone() -> None:
    assert len({glyph for glyph, _ in PHASE_GLYPHS.values()}) == len(PHASE_GLYPHS)


def test_every_theme_is_listed() -> None:
    assert list(SUMMARIES) == [theme.name for theme in THEMES]
