"""The console of a reproduction: several runs one after the other, and the table of the paper that they fill."""

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, TextIO

from textual.app import SystemCommand
from textual.screen import Screen

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_tui.console.bridge import Engine
from claf_tui.console.launch import typed_command
from claf_tui.console.run_console import RunConsole
from claf_tui.screens.abandon_dialog import AbandonScreen, unsaved_run
from claf_tui.screens.help import HelpScreen, ReproductionHelp
from claf_tui.screens.reproduction import ReproductionScreen
from claf_tui.screens.run_board import RunBoard
from claf_tui.state import reduce, status_word
from claf_tui.state.moment import Moment
from claf_tui.state.reproduction import (
    END_WORDS,
    Scene,
    end_word,
    failed_rows,
    failure,
    news,
    next_aside,
    next_estimates,
)
from claf_tui.words import exit_codes


class ReproductionApp(RunConsole):
    """Shows the reproduction of a table and steers it; the end of the engine is the end of it, not that of a run."""

    CSS_PATH: ClassVar[list[str]] = ["console.tcss", "reproduce.tcss"]  # type: ignore[assignment]
    LEAVE_TEXT = (
        "The reproduction is live. The current run finishes its step and saves a checkpoint, and the console closes.\n"
        "The same command goes on from there."
    )

    def __init__(
        self, engine: Engine, control: Control, *, read_only: bool = False, log_file: TextIO | None = None
    ) -> None:
        super().__init__(engine, control, read_only=read_only, log_file=log_file)
        self._home = ReproductionScreen(control)
        self._run_board = RunBoard(control)
        self._aside: ev.Progressed | None = None
        self._moment = Moment()
        self._began = 0.0
        self._elapsed_then: float | None = None
        self._estimates: tuple[float | None, ...] = ()

    @property
    def home(self) -> Screen[None]:
        """The table."""
        return self._home

    @property
    def word(self) -> str:
        """The status word of the whole."""
        if self.has_ended:
            has_failed, was_stopped = self.thread.error is not None, self.control.stop_requested
            return end_word(self.state.reproduction, has_failed=has_failed, was_stopped=was_stopped)
        is_starting = self.state.reproduction is None and self.control.status == "running"
        return "STARTING" if is_starting else self.control.status.upper()

    @property
    def ending(self) -> exit_codes.Ending:
        """How the whole ended, with the rows that failed."""
        table = self.state.reproduction
        return replace(super().ending, num_failed_rows=len(failed_rows(table)) if table else 0)

    @property
    def reason(self) -> str:
        """Why the whole failed, or which rows did, or an empty string."""
        return super().reason or failure(self.state.reproduction)

    def take(self, event: ev.Event) -> None:
        """Fold one event; progress outside a run is kept aside, and the log is told of each row that ends."""
        self._aside = next_aside(self._aside, event, self.state)
        match event:
            case ev.Progressed() if self._aside is not None:
                return
            case ev.Progressed() if self._elapsed_then is None:
                self._elapsed_then = event.elapsed
            case ev.RunStarted():
                self._elapsed_then = 0.0 if event.resumed_from_step is None else None
            case ev.ReproductionChanged():
                self._estimates = next_estimates(self._estimates, event)
                if self._elapsed_then is not None:
                    self._elapsed_then = self.state.elapsed
                for line in news(self.state.reproduction, event):
                    self.state = reduce(self.state, line)
            case _:
                pass
        if isinstance(event, ev.RunFinished | ev.ReproductionChanged):
            self._began = self._moment.waited
        self.state = reduce(self.state, event)

    def draw(self, moment: Moment) -> None:
        """Show the table, and the dashboard while it is open."""
        if self.has_ended and self._moment.word in END_WORDS:
            moment = replace(moment, waited=self._moment.waited)
        self._moment = moment
        self._home.show(
            Scene(
                state=self.state,
                moment=moment,
                aside=self._aside,
                began=self._began,
                estimates=self._estimates,
                elapsed_then=self._elapsed_then,
                reason=self.reason,
                command=typed_command(),
            )
        )
        if self._run_board in self.screen_stack:
            self._run_board.show(self.state, replace(moment, word=status_word(self.state, self.control.status)))

    def abandon_screen(self) -> AbandonScreen:
        """Ask, with the steps that would be lost."""
        return unsaved_run(self.state)

    def help_screen(self) -> HelpScreen:
        """Explain the keys and signs of this screen, or those of the dashboard while it is open."""
        return ReproductionHelp() if self.screen is self._home else super().help_screen()

    async def action_run_board(self) -> None:
        """Open the dashboard of the run that events last told of."""
        if self.state.run is None:
            self.notify("no run has begun yet", markup=False, timeout=3)
            return
        if self._run_board in self.screen_stack:
            return
        if not self.is_screen_installed(self._run_board):
            self.install_screen(self._run_board, "run-board")
        await self.push_screen(self._run_board)
        self.draw(self._moment)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Put those keys of the table into the command palette that do something now."""
        yield from super().get_system_commands(screen)
        if screen not in (self._home, self._run_board):
            return
        if self.can_steer:
            yield self.pause_command("the current run waits at its next step", self._home.action_toggle_pause)
            yield SystemCommand(
                "Probe now", "natural and robust accuracy on validation images", self._home.action_probe
            )
        if self.run_directory is not None:
            yield SystemCommand("Browse checkpoints", "steps, figures, tensors", self.action_checkpoints)
            if screen is self._home:
                yield SystemCommand("Dashboard of the current run", "its curves, probes, log", self.action_run_board)
