import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from claf_tui.console.readable import LEAST_CONTRAST, Readable, contrast
from claf_tui.widgets.chart import PALETTE

WHITE = Color.parse("#ffffff")


def shown(text: str, style: Style) -> Style:
    ((_, result, _),) = Readable().apply([Segment(text, style)], WHITE)
    assert result is not None
    return result


@pytest.mark.parametrize("color", PALETTE[:-1])
def test_every_curve_is_seen_on_white(color: str) -> None:
    result = shown("⣀⣀", Style(color=color, bold=True))
    assert result.color is not None
    assert contrast(Color.from_rich_color(result.color), WHITE) >= LEAST_CONTRAST
    assert result.bold


def test_what_is_read_already_stays_as_it_is() -> None:
    style = Style(color="#101820", bgcolor="#ffffff")
    assert shown("words", style) == style


def test_pixels_of_pictures_stay_as_they_are() -> None:
    style = Style(color="#f0e442", bgcolor="#f0e040")
    assert shown("▀▀", style) == style


def test_what_is_gray_is_faint_on_purpose() -> None:
    style = Style(color="#d0d4d8", bgcolor="#ffffff")
    assert shown("grid", style) == style
