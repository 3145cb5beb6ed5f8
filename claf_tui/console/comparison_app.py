"""A comparison of runs as a program of its own: `claf-tui compare RUN RUN --ui tui`."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from claf_tui.console.palette import PaletteApp
from claf_tui.screens.comparison import ComparisonScreen
from claf_tui.screens.comparison_help import ComparisonHelp
from claf_tui.screens.help import HelpScreen
from claf_tui.widgets.keys import named


class ComparisonApp(PaletteApp):
    """Compares runs.

    Args:
        directories: of two to eight runs, A first.
    """

    TITLE = "claf-tui compare"
    CSS_PATH = "console.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
    ]
    BINDINGS = named("app", BINDINGS)

    def __init__(self, directories: Sequence[Path]) -> None:
        super().__init__()
        self._directories = tuple(directories)

    def help_screen(self) -> HelpScreen:
        """Make the help page."""
        return ComparisonHelp()

    def on_mount(self) -> None:
        """Open the comparison."""
        self.push_screen(ComparisonScreen(self._directories))
