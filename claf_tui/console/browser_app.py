"""The checkpoint browser as a program of its own: `claf-tui checkpoint browse RUN`."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from claf_tui.console.palette import PaletteApp
from claf_tui.screens.checkpoints.actions import ListEntries, list_entries
from claf_tui.screens.checkpoints.browser import CheckpointBrowser
from claf_tui.screens.checkpoints.measuring import OWN_COMMANDS, Commands
from claf_tui.widgets.keys import named


class BrowserApp(PaletteApp):
    """Browses the checkpoints of one run; ends with a `ResumeRequest` when the person asked to resume.

    Args:
        directory: the run's folder.
        is_live: whether another process is training this run.
        entries: lists the checkpoints, newest first.
        commands: what evaluates and audits a checkpoint.
    """

    TITLE = "claf-tui checkpoints"
    CSS_PATH = "console.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
        Binding("question_mark,f1", "help", "help"),
    ]
    BINDINGS = named("app", BINDINGS)

    def __init__(
        self,
        directory: Path,
        *,
        is_live: Callable[[], bool] = lambda: False,
        entries: ListEntries = list_entries,
        commands: Commands = OWN_COMMANDS,
    ) -> None:
        super().__init__()
        self._directory = directory
        self._browser = CheckpointBrowser(directory, is_live=is_live, entries=entries, commands=commands)

    @property
    def run_directory(self) -> Path | None:
        """The folder of the run that is browsed."""
        return self._directory

    def on_mount(self) -> None:
        """Open the browser."""
        self.push_screen(self._browser)
