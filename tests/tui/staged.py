"""One screen alone, without an engine, a clock or a machine: what snapshots are taken of."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen

from claf_tui.console.theme import THEME

SIZES = ((80, 24), (100, 28), (140, 45), (200, 60))


class Stage(App[None]):
    """Shows one screen in the colours and styles of a console."""

    CSS_PATH = "../../claf_tui/console/console.tcss"

    def __init__(self, screen: Screen[None]) -> None:
        super().__init__()
        self._shown = screen

    def on_mount(self) -> None:
        """Show it."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self.push_screen(self._shown)


@asynccontextmanager
async def staged(screen: Screen[None], size: tuple[int, int]) -> AsyncIterator[tuple[Stage, Pilot[None]]]:
    """Show a screen in a terminal of `size` cells."""
    app = Stage(screen)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app, pilot
