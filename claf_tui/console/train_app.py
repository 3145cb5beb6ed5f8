"""The console of one run: its dashboard, live or watched."""

import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TextIO

from textual.app import SystemCommand
from textual.screen import Screen

from claf_engine import events as ev
from claf_engine.config.alerts import AlertSettings
from claf_engine.events.control import Control
from claf_engine.runs.alerting import rule_of
from claf_tui.console.attention import chosen, message, shown_of
from claf_tui.console.base import GO_ON, STOP_ANSWER
from claf_tui.console.bridge import Engine
from claf_tui.console.driver import ConsoleDriver
from claf_tui.console.remote import Remote
from claf_tui.console.run_console import RunConsole
from claf_tui.console.silence import Silence
from claf_tui.screens.abandon_dialog import AbandonScreen, unsaved_run
from claf_tui.screens.confirm_dialog import CANCEL, Answer, ConfirmScreen
from claf_tui.screens.dashboard import Dashboard
from claf_tui.screens.history import HistoryScreen
from claf_tui.screens.steering import Steering
from claf_tui.state import reduce, status_word
from claf_tui.state.moment import Moment, run_fraction
from claf_tui.state.run_state import Happening
from claf_tui.words import exit_codes
from claf_tui.words.safe_text import safe

MAX_MESSAGES = 3
"""Of one look, so that the desktop is not flooded."""
MAX_LINES_OF_NEWS = 5


class TrainingApp(RunConsole):
    """Shows a run and steers it; the run's own last event is the end, though the engine may still close its files.

    Args:
        engine, control, read_only, log_file: see `ConsoleApp`.
        remote: steers the run of another process; None where it may only be watched.
        why_not: the reason for that, where it is not a person's wish.
        alerts: what a person is told of, and how; by default all that the console itself can do.
    """

    LEAVE_TEXT = "The run is live. It finishes its step, saves a checkpoint, and the console closes."
    GO_ON_TEXT = (
        "The run is live. It finishes its step and saves a checkpoint. Left running, it goes on from there in a "
        "process of its own, which claf-tui watch shows and steers."
    )

    def __init__(  # noqa: PLR0913 (what every console takes, and what this one does)
        self,
        engine: Engine,
        control: Control,
        *,
        read_only: bool = False,
        log_file: TextIO | None = None,
        remote: Remote | None = None,
        why_not: str = "",
        alerts: AlertSettings | None = None,
    ) -> None:
        super().__init__(engine, control, read_only=read_only, log_file=log_file, is_series=False)
        self._remote = remote
        self._why_not = why_not
        self._steering = remote if read_only else control
        self._alerts = alerts or AlertSettings()
        self._silence = Silence(self._alerts, is_watched=read_only)
        self._num_told = self._num_lines = 0
        self._has_caught_up = False
        self._dashboard = self.make_board(self._steering)

    def make_board(self, steering: Steering | None) -> Dashboard:
        """Make the dashboard.

        Args:
            steering: what takes a person's wishes; None where one may only look on.
        """
        return Dashboard(steering, read_only=self.read_only, why_not=self._why_not, is_loud=self._alerts.bell)

    @property
    def home(self) -> Screen[None]:
        """The dashboard."""
        return self._dashboard

    def on_mount(self) -> None:
        """Say at once why keys do nothing."""
        if self._why_not:
            self.notify(self._why_not, severity="warning", markup=False, timeout=6)

    def take(self, event: ev.Event) -> None:
        """Fold one event of the run into the state."""
        self.state = reduce(self.state, event)
        if self._remote is not None:
            self._remote.hear(event)

    def poll(self) -> None:
        """Do what every console does, and tell of requests that nobody answers."""
        super().poll()
        for event in self._silence.look(self.state, time.monotonic()):
            self.take(event)
        for text in self._remote.give_up() if self._remote is not None else ():
            self.notify(text, severity="warning", markup=False, timeout=6)

    def draw(self, moment: Moment) -> None:
        """Show the run, here and in what the terminal shows around the console."""
        self._dashboard.show(self.state, moment)
        for screen in self.screen_stack:
            if isinstance(screen, HistoryScreen):
                screen.show(self.state)
        self._attend(moment)

    def _attend(self, moment: Moment) -> None:
        if not isinstance(self._driver, ConsoleDriver):
            return
        run = self.state.run.run if self.state.run is not None else "claf-tui"
        has_alert = any(alert.level == "error" for alert in self.state.alerts)
        shown = shown_of(run, moment.word, run_fraction(self.state), has_alert=has_alert)
        self._driver.attend(chosen(shown, self._alerts, os.environ), self._messages(run))

    def _messages(self, run: str) -> str:
        """What of the history the desktop is to be told, of what happened since the last look."""
        # What was there before the console comes all at once, and is no news.
        num_lines, self._num_lines = self.state.num_log_lines - self._num_lines, self.state.num_log_lines
        self._has_caught_up |= self.state.run is not None and num_lines < MAX_LINES_OF_NEWS
        added, self._num_told = self.state.num_happened - self._num_told, self.state.num_happened
        fresh = self.state.history[-added:] if added > 0 else ()
        told = [one for one in fresh if self._is_told(one)][-MAX_MESSAGES:]
        return "".join(message(f"{run}: {one.text}", os.environ) for one in told)

    def _is_told(self, happening: Happening) -> bool:
        """Whether the desktop is told: of alerts whose rule is on, of none that was there before the console."""
        if not self._alerts.notification or happening.kind in ("edit", "request") or not self._has_caught_up:
            return False
        return rule_of(self._alerts, happening.kind).on

    @property
    def word(self) -> str:
        """The status word of the run."""
        return status_word(self.state, self._steering.status if self._steering is not None else None)

    @property
    def can_steer(self) -> bool:
        """Whether this console can still change what the run does."""
        return self._steering is not None and not self.has_ended and self.word != "STOPPING"

    @property
    def is_waiting(self) -> bool:
        """Whether the run is paused, or about to be."""
        return self.word in {"PAUSED", "PAUSING"}

    @property
    def has_ended(self) -> bool:
        """Whether the run has told how it ended."""
        return self.state.finished is not None

    @property
    def can_resume(self) -> bool:
        """Whether the console may be left to go on from another checkpoint."""
        return not self.is_live and not self.read_only

    @property
    def reason(self) -> str:
        """Why the run failed, or an empty string."""
        return self.state.finished.reason if self.state.finished else ""

    @property
    def ending(self) -> exit_codes.Ending:
        """How the run ended: as it told, whatever came of closing its files afterwards."""
        has_failed = self.state.finished is not None and self.state.finished.has_failed
        return replace(super().ending, error=self.thread.error if has_failed else None, has_failed=has_failed)

    def leave_screen(self) -> ConfirmScreen:
        """Ask how to leave; a run that has begun may go on, though not in a container that ends with this process."""
        if not self.thread.has_begun or os.getpid() == 1:
            return super().leave_screen()
        answers = [STOP_ANSWER, Answer("l", "leave it running", GO_ON, "primary"), CANCEL]
        return ConfirmScreen("leave?", self.GO_ON_TEXT, answers)

    def _on_quit_answer(self, answer: str | None) -> None:
        """Leave as was chosen, but end no run for want of room that was to go on."""
        if answer == GO_ON and not self._has_room:
            text = (
                f"there is no room on the disk to save the run, so it goes on here; make room in {self.run_directory}"
            )
            self.notify(safe(text, 400), severity="warning", markup=False, timeout=10)
            return
        super()._on_quit_answer(answer)

    @property
    def _has_room(self) -> bool:
        """Whether another checkpoint as large as the newest fits on the disk, for all that is known."""
        saved, folder = self.state.checkpoints, self.run_directory
        if not saved or folder is None:
            return True
        try:
            return shutil.disk_usage(folder).free > saved[-1].num_bytes
        except OSError:
            return True

    def abandon_screen(self) -> AbandonScreen:
        """Ask, with the steps that would be lost."""
        return unsaved_run(self.state)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Put those keys of the dashboard into the command palette that do something now."""
        yield from super().get_system_commands(screen)
        board = self._dashboard
        if screen is not board:
            return
        if self.can_steer:
            yield self.pause_command("the run waits at its next step", board.action_toggle_pause)
            yield SystemCommand("Probe now", "natural and robust accuracy on validation images", board.action_probe)
            yield SystemCommand("Checkpoint now", "save after this step", board.action_checkpoint)
            yield SystemCommand(
                "Edit live values", "learning rate, temperature, epochs, probes, checkpoints", board.action_edit
            )
            yield SystemCommand("Go on, then pause", "after some steps, an epoch or phase", board.action_pause_later)
            yield SystemCommand("Stop", "finish the step, save and end the run", board.action_stop)
        yield SystemCommand("Alerts and edits", "what stands, what was, who changed what", board.action_history)
        yield SystemCommand("Logarithmic value axis", "switch it on or off", board.action_log_scale)
        yield SystemCommand("Compare with other runs", "their curves over this run's", board.action_compare)
        yield SystemCommand("Adversarial examples", "the same images at every probe, attacked", board.action_examples)
        if self.run_directory is not None:
            yield SystemCommand("Browse checkpoints", "steps, figures, tensors", self.action_checkpoints)
