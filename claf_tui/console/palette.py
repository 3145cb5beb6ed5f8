"""What the command palette offers in every console, and where its picture of the screen goes."""

import time
from collections.abc import Iterable
from pathlib import Path

from textual.app import App, SystemCommand
from textual.screen import Screen

from claf_tui.console.screenshot import places, save_picture
from claf_tui.screens.checkpoints.actions import ResumeRequest
from claf_tui.screens.help import HelpScreen
from claf_tui.screens.runs.requests import OpenRequest
from claf_tui.words.safe_text import safe

REPLACED = {"Keys", "Screenshot"}
"""Commands of Textual's own that do better here: a second help, and a picture in a folder that need not be there."""
CLOSING_SECONDS = 0.1
"""After which the palette is off the screen that is taken a picture of."""


class PaletteApp(App[ResumeRequest | OpenRequest]):
    """An app whose palette offers only what works at the moment."""

    @property
    def run_directory(self) -> Path | None:
        """The folder of the run that is shown, if any."""
        return None

    def help_screen(self) -> HelpScreen:
        """Make the help page."""
        return HelpScreen()

    def action_help(self) -> None:
        """Show the help page."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(self.help_screen())

    def take_picture(self) -> None:
        """Save the screen as it is, and say where."""
        folders = places(self.run_directory)
        try:
            saved = save_picture(self.export_screenshot(), folders, time.time())
        except OSError as error:
            text = f"cannot save a screenshot in {folders[-1]}: {error.strerror}; start claf-tui in a folder of yours"
            self.notify(safe(text, 400), severity="error", markup=False)
        else:
            self.notify(f"screenshot: {safe(saved, 400)}", markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer what every console can do."""
        yield from (command for command in super().get_system_commands(screen) if command.title not in REPLACED)
        if not isinstance(screen, HelpScreen):
            yield SystemCommand("Help", "every key, and what the figures mean", self.action_help)
        yield SystemCommand("Screenshot", "save the screen as SVG in the folder of the run", self._take_picture_soon)

    def _take_picture_soon(self) -> None:
        self.set_timer(CLOSING_SECONDS, self.take_picture)
