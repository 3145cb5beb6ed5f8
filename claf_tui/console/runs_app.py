"""The console of all runs: `claf-tui` alone."""

import importlib
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

from textual.app import SystemCommand
from textual.screen import Screen

from claf_engine import events as ev
from claf_engine.config.alerts import AlertSettings
from claf_engine.events.control import Control
from claf_engine.runs import is_live
from claf_tui.console.attention import Shown, message
from claf_tui.console.base import PRELOAD_SECONDS, ConsoleApp, set_loaded_aside
from claf_tui.console.driver import ConsoleDriver
from claf_tui.console.runs_feed import RunsFeed
from claf_tui.console.silence import LOOK_SECONDS
from claf_tui.console.silent_runs import SilentRuns
from claf_tui.screens.help import HelpScreen
from claf_tui.screens.runs.help import RunsHelp
from claf_tui.screens.runs.requests import RunsView
from claf_tui.screens.runs.runs_screen import RunsScreen
from claf_tui.state import Alert
from claf_tui.state.moment import Moment

MAX_MESSAGES = 3
"""Of one look, so that the desktop is not flooded."""
OPENED_RUN = "claf_tui.console.opened_run"


class RunsApp(ConsoleApp):
    """Lists runs; ends with an `OpenRequest` or a `ResumeRequest`, or with nothing when it is left.

    Args:
        engine: looks at the folders.
        control: what it polls.
        root: the folder of the runs.
        view: how the list is looked at in the beginning.
        alerts: how a person is told that a run has fallen silent.
        silent: who has, as an earlier list knew.
        read_only, log_file: see `ConsoleApp`.
    """

    TITLE = "claf-tui runs"
    LEAVE_TEXT = ""

    def __init__(  # noqa: PLR0913 (what every console takes, and what this one does)
        self,
        engine: RunsFeed,
        control: Control,
        *,
        root: Path,
        view: RunsView | None = None,
        alerts: AlertSettings | None = None,
        silent: SilentRuns | None = None,
        read_only: bool = True,
        log_file: TextIO | None = None,
    ) -> None:
        super().__init__(engine, control, read_only=read_only, log_file=log_file)
        self._feed = engine
        self._root = root
        self._board = RunsScreen(root, view)
        self._is_set_aside = False
        self._alerts = alerts or AlertSettings()
        self._silent = silent or SilentRuns(self._alerts.no_heartbeat)
        self._listened_at = 0.0

    def on_mount(self) -> None:
        """Have loaded in a thread what opening a run needs, so that its key is answered at once."""
        self.set_timer(PRELOAD_SECONDS, partial(self.run_worker, _load_opened_run, thread=True, exit_on_error=False))

    @property
    def home(self) -> Screen[None]:
        """The list."""
        return self._board

    @property
    def run_directory(self) -> Path | None:
        """The folder of the run under the cursor."""
        chosen = self._board.chosen
        return chosen.directory if chosen is not None else None

    @property
    def can_resume(self) -> bool:
        """Whether the run under the cursor may be gone on with: nobody trains in it."""
        directory = self.run_directory
        return directory is not None and not is_live(directory)

    @property
    def word(self) -> str:
        """Always the same: the list itself does nothing."""
        return "RUNS"

    @property
    def is_at_rest(self) -> bool:
        """Whether all runs were read, and are shown."""
        return self._board.is_at_rest

    def take(self, event: ev.Event) -> None:
        """Take no event: the list is fed otherwise."""

    def poll(self) -> None:
        """Do what every console does, and show what was found out."""
        super().poll()
        if not self._board.is_mounted or not self._board.is_running:
            return
        self._feed.seen = self._board.seen
        found = self._feed.take()
        self._board.take(found, self._feed.problem)
        if found and not found[-1].num_waiting and not self._is_set_aside and not self.is_headless:
            self._is_set_aside = True
            set_loaded_aside()
        if self._board.is_at_rest and self._feed.looked_at - self._listened_at >= LOOK_SECONDS:
            self._listened_at = self._feed.looked_at
            self._tell(self._silent.look(self._board.runs, self._listened_at))

    def _tell(self, alerts: Sequence[Alert]) -> None:
        """Show who is silent, and tell of those that fell silent since the last look."""
        self._board.show_silent(self._silent.names, self._silent.alerts)
        if alerts and self._alerts.bell:
            self.bell()
        if self._alerts.notification and isinstance(self._driver, ConsoleDriver):
            texts = [f"{alert.run}: {alert.text}" for alert in alerts[-MAX_MESSAGES:]]
            self._driver.attend(Shown(), "".join(message(text, os.environ) for text in texts))
        if self.screen is not self._board:
            for alert in alerts[-1:]:
                self.notify(f"{alert.run}: {alert.text}", severity="error", markup=False, timeout=10)

    def action_acknowledge(self) -> None:
        """Take the shown alert away."""
        self._silent.acknowledge()
        self._board.show_silent(self._silent.names, self._silent.alerts)

    def draw(self, moment: Moment) -> None:
        """Let live runs move."""
        self._board.show(moment)

    def help_screen(self) -> HelpScreen:
        """The help page of the list."""
        return RunsHelp()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Put the keys of the list into the command palette."""
        yield from super().get_system_commands(screen)
        board = self._board
        if screen is not board:
            return
        yield SystemCommand("Filter", "words, method:claf, robust>40, state:live, age<2d", board.action_filter)
        yield SystemCommand("Sort", "by the next column", board.action_sort)
        yield SystemCommand("New run", "put together in a form", board.action_new_run)
        if board.chosen is None:
            return
        yield SystemCommand("Open", "the dashboard of the run", board.action_open)
        yield SystemCommand("Resume", "go on with an interrupted or stopped run", board.action_resume)
        yield SystemCommand("Checkpoints", "steps, figures, tensors", self.action_checkpoints)
        yield SystemCommand("Note", "write about the run", board.action_note)
        yield SystemCommand("Tags", "for the filter", board.action_tags)
        yield SystemCommand("Archive", "put the run away, or take it back", board.action_archive)
        yield SystemCommand("Delete", "asks first", board.action_delete)


def _load_opened_run() -> None:
    importlib.import_module(OPENED_RUN)
