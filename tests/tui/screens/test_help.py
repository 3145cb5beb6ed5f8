from pathlib import Path

import pytest
from textual.containers import VerticalScroll

from claf_tui.screens.help import FIGURES, KEYS, HelpScreen, help_lines
from tests.tui.consoles import screen_text, until
from tests.tui.goldens import assert_golden
from tests.tui.staged import SIZES, staged

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("size", SIZES)
async def test_the_page_looks_as_recorded(size: tuple[int, int]) -> None:
    async with staged(HelpScreen(), size) as (app, _):
        assert_golden(app, GOLDEN / f"help_{size[0]}x{size[1]}.txt")


async def test_keys_scroll_to_the_end_and_back() -> None:
    async with staged(HelpScreen(), (80, 24)) as (app, pilot):
        assert "Steer the run" in screen_text(app)
        await pilot.press("end")
        await until(lambda: app.screen.query_one(VerticalScroll).is_vertical_scroll_end)
        await until(lambda: "Steer the run" not in screen_text(app))
        await pilot.press("home")
        await until(lambda: "Steer the run" in screen_text(app))


def test_what_goes_on_in_the_next_line_hangs_under_its_text() -> None:
    lines = [
        line.plain for line in help_lines((("Look", (("x", "one two three four five"),)),), (("a b", "c " * 20),), 32)
    ]
    assert lines == [
        "Look",
        "  x             one two three",
        "                four five",
        "",
        "What the figures mean",
        "  a b: c c c c c c c c c c c c",
        "    c c c c c c c c",
    ]


@pytest.mark.parametrize("width", [40, 66, 86])
def test_no_line_is_wider_than_the_page(width: int) -> None:
    assert max(line.cell_length for line in help_lines(KEYS, FIGURES, width)) <= width
