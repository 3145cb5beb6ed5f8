"""Darkens what would not be read on a light background: the colours of curves were chosen for dark ones."""

from functools import lru_cache

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

LEAST_CONTRAST = 3.0
"""Of a colour and its background: what WCAG asks of signs and large text."""
PIXELS = frozenset("▀▄█ ")
"""Characters that pictures are made of, whose colours stay."""
SHADES = 20
GRAY = 40
"""Colours whose channels differ by less, of 255, are meant to be faint where they are, such as a grid."""


class Readable(LineFilter):
    """Blends foregrounds towards black until they stand out from their background."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Give the same segments in colours that can be read."""
        return [Segment(text, _readable(text, style, background), control) for text, style, control in segments]


def _readable(text: str, style: Style | None, background: Color) -> Style | None:
    if style is None or style.color is None or PIXELS.issuperset(text):
        return style
    behind = style.bgcolor or background.rich_color
    return style + _darkened(style.color, behind)


@lru_cache(maxsize=4096)
def _darkened(color: RichColor, behind: RichColor) -> Style:
    if color.is_default or behind.is_default:
        return Style.null()
    shade, back = Color.from_rich_color(color), Color.from_rich_color(behind)
    if max(shade.rgb) - min(shade.rgb) < GRAY:
        return Style.null()
    black = Color(0, 0, 0)
    steps = (shade.blend(black, number / SHADES) for number in range(SHADES + 1))
    return Style(color=next((each for each in steps if contrast(each, back) >= LEAST_CONTRAST), shade).rich_color)


def contrast(one: Color, other: Color) -> float:
    """The ratio of two luminances, from 1 to 21, as WCAG defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: Color) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
