"""The console: owns the engine's thread and the screens; no training and no file logic."""

import asyncio
import gc
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, TextIO

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Print
from textual.screen import Screen

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_tui.console.bridge import Engine, EngineThread
from claf_tui.console.theme import THEME
from claf_tui.console.toasts import toast_of
from claf_tui.screens.checkpoints.actions import ResumeRequest
from claf_tui.screens.confirm_dialog import CANCEL, Answer, ConfirmScreen
from claf_tui.screens.dashboard import Dashboard
from claf_tui.screens.help import HelpScreen
from claf_tui.state import RunState, reduce, status_word
from claf_tui.state.moment import Moment

POLLS_PER_SECOND = 6
SWITCH_INTERVAL = 0.001
"""Seconds after which the engine's thread yields to the console's; the default of 5 ms makes keys feel slow."""
MAX_TOLD = 3
"""Toasts for one poll, so that the history of a watched run does not flood the screen."""
SAVE_TIMEOUT = 60.0
"""Seconds that a signal gives the engine to save before the process leaves anyhow."""

EXIT_FAILED, EXIT_INTERRUPTED, EXIT_HANGUP, EXIT_TERMINATED = 1, 130, 129, 143


def set_loaded_aside() -> None:
    """Spare the garbage collector what is loaded by now: libraries stay, and each full collection would walk them all.

    Such a walk takes 0.1 s on a free core and more while training; no key is answered and no step begins meanwhile.
    """
    gc.collect()
    gc.freeze()


class ConsoleApp(App[ResumeRequest]):
    """Shows a run and steers it.

    Args:
        engine: makes the run's events; called once, in its own thread.
        control: what the engine polls.
        read_only: the run belongs to another process and is only watched.
        log_file: receives what other code prints while the console is up.

    Attributes:
        was_abandoned: whether the person left without waiting for the engine to save.
    """

    TITLE = "claf-tui"
    CSS_PATH = "console.tcss"
    IS_SERIES: ClassVar[bool] = False
    """Whether the engine plays several runs, so that the end of one is not the end of all."""
    LEAVE_TEXT: ClassVar[str] = "The run is live. It finishes its step, saves a checkpoint, and the console closes."
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "interrupt", "quit", show=False, priority=True),
        Binding("question_mark,f1", "help", "help"),
        Binding("b", "checkpoints", "checkpoint browser"),
    ]

    def __init__(
        self, engine: Engine, control: Control, *, read_only: bool = False, log_file: TextIO | None = None
    ) -> None:
        super().__init__()
        self.control = control
        self.state = RunState()
        self.thread = EngineThread(engine, control, is_series=self.IS_SERIES)
        self.was_abandoned = False
        self._read_only = read_only
        self._log_file = log_file
        self._dashboard = Dashboard(control, read_only=read_only)
        self._frame = 0
        self._switch_interval = sys.getswitchinterval()
        self._started = time.monotonic()
        self._leaves_when_done = False
        self._has_rung = False
        self._signal_code: int | None = None

    def on_mount(self) -> None:
        """Start the engine and begin to poll it."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self.push_screen(self.home)
        self.begin_capture_print(self)
        if not self.is_headless:
            self._handle_signals()
        self._switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        self.thread.start()
        self.set_interval(1 / POLLS_PER_SECOND, self.poll)

    def on_unmount(self) -> None:
        """Give threads their usual share again, and the garbage collector what was set aside."""
        sys.setswitchinterval(self._switch_interval)
        gc.unfreeze()

    def on_print(self, event: Print) -> None:
        """Keep what other code prints out of the screen and in the log file."""
        if self._log_file is not None:
            self._log_file.write(event.text)

    def poll(self) -> None:
        """Take what the engine sent, draw it, and leave when that was asked for."""
        is_over = not self.thread.is_alive
        events = self.thread.drain()
        for event in events:
            self.take(event)
        if not self.is_headless and any(isinstance(event, ev.RunStarted) for event in events):
            set_loaded_aside()
        for toast in [toast for event in events if (toast := toast_of(event))][-MAX_TOLD:]:
            self.notify(toast.text, severity=toast.severity, markup=False, timeout=toast.seconds)
        if self.has_ended and not self._has_rung:
            self._has_rung = True
            self.bell()
        if any(isinstance(event, ev.CheckpointSaved) for event in events):
            self._reload_browser()
        word = self.word
        if word != "PAUSED":
            self._frame += 1
        with self.batch_update():
            self.draw(Moment(word, self._frame, time.monotonic() - self._started))
        if is_over and self._leaves_when_done:
            self.exit(return_code=self.exit_code)

    @property
    def home(self) -> Screen[None]:
        """The screen that the console begins with."""
        return self._dashboard

    def take(self, event: ev.Event) -> None:
        """Fold one event of the engine into the state."""
        self.state = reduce(self.state, event)

    def draw(self, moment: Moment) -> None:
        """Show the state."""
        self._dashboard.show(self.state, moment)

    @property
    def word(self) -> str:
        """The status word of the run."""
        return status_word(self.state, None if self._read_only else self.control.status)

    @property
    def is_live(self) -> bool:
        """Whether a run is going on in this process."""
        return not self._read_only and not self.has_ended and self.thread.is_alive

    @property
    def has_ended(self) -> bool:
        """Whether the engine has told how its work ended."""
        return self.state.finished is not None

    @property
    def can_resume(self) -> bool:
        """Whether the console may be left to go on from another checkpoint."""
        return not self.is_live and not self._read_only

    @property
    def reason(self) -> str:
        """Why the work failed, or an empty string."""
        return self.state.finished.reason if self.state.finished else ""

    @property
    def exit_code(self) -> int:
        """What the process should end with, as the run stands."""
        if self._signal_code is not None:
            return self._signal_code
        if self.state.finished is not None and self.state.finished.status == "failed":
            return int(getattr(self.thread.error, "exit_code", EXIT_FAILED))
        return 0

    async def action_quit(self) -> None:
        """Leave; a live run is asked to stop and save first."""
        if not self.is_live:
            self._leave()
        elif self.control.stop_requested:
            self._ask_to_abandon()
        elif not isinstance(self.screen, ConfirmScreen):
            answers = [Answer("y", "stop and save", "stop", "warning"), CANCEL]
            self.push_screen(ConfirmScreen("leave?", self.LEAVE_TEXT, answers), self._on_quit_answer)

    async def action_interrupt(self) -> None:
        """Ctrl+C: the first asks to stop and save, the second offers to leave without saving, the third leaves."""
        if not self.is_live:
            self._leave()
        elif isinstance(self.screen, AbandonScreen):
            self._on_abandon_answer("abandon")
        elif self.control.stop_requested or isinstance(self.screen, ConfirmScreen):
            self._ask_to_abandon()
        else:
            await self.action_quit()

    def action_help(self) -> None:
        """Show the help page."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(self.help_screen())

    def help_screen(self) -> HelpScreen:
        """Make the help page."""
        return HelpScreen()

    def action_checkpoints(self) -> None:
        """Show the checkpoints of this run."""
        if self.state.run is None:
            self.notify("the run has no folder yet", markup=False)
            return
        from claf_tui.screens.checkpoints.browser import CheckpointBrowser

        if not isinstance(self.screen, CheckpointBrowser):
            directory = Path(self.state.run.directory)
            self.push_screen(CheckpointBrowser(directory, is_live=lambda: not self.can_resume))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Put the dashboard's keys into the command palette."""
        yield from super().get_system_commands(screen)
        board = self._dashboard
        yield SystemCommand("Pause or go on", "the run waits at its next step", board.action_toggle_pause)
        yield SystemCommand("Probe now", "natural and robust accuracy on validation images", board.action_probe)
        yield SystemCommand("Checkpoint now", "save after this step", board.action_checkpoint)
        yield SystemCommand("Edit live values", "learning rate and probe interval", board.action_edit)
        yield SystemCommand("Stop", "finish the step, save and end the run", board.action_stop)
        yield SystemCommand("Logarithmic loss axis", "switch it on or off", board.action_log_scale)
        yield SystemCommand("Browse checkpoints", "steps, figures, tensors", self.action_checkpoints)

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.on_signal, EXIT_TERMINATED)
        loop.add_signal_handler(signal.SIGINT, self.on_signal, EXIT_INTERRUPTED)
        loop.add_signal_handler(signal.SIGHUP, self.on_hangup)

    def on_signal(self, code: int) -> None:
        """Stop, save and leave with this code; the second signal leaves at once."""
        is_second = self._signal_code is not None
        self._signal_code = code
        self.control.stop()
        if is_second or not self.is_live:
            self._abandon(code)
            return
        self._leaves_when_done = True
        self.set_timer(SAVE_TIMEOUT, lambda: self._abandon(code))

    def on_hangup(self) -> None:
        """The terminal is gone: leave it at once; whoever ran the console waits for the engine to save."""
        self._signal_code = EXIT_HANGUP
        self.control.stop()
        self.exit(return_code=EXIT_HANGUP)

    def _leave(self) -> None:
        self.control.stop()
        self.exit(return_code=self.exit_code)

    def _abandon(self, code: int) -> None:
        self.was_abandoned = self.thread.is_alive
        self.exit(return_code=code)

    def _on_quit_answer(self, answer: str | None) -> None:
        if answer == "stop":
            self.control.stop()
            self._leaves_when_done = True

    def _ask_to_abandon(self) -> None:
        if isinstance(self.screen, AbandonScreen):
            return
        newest = self.state.checkpoints[-1].step if self.state.checkpoints else 0
        lost = max(0, self.state.step - newest)
        text = (
            "The run has not saved yet.\n"
            f"Leaving now loses the {lost:,} steps since the last checkpoint; the checkpoint itself stays."
        )
        answers = [Answer("w", "wait", "", "primary"), Answer("x", "leave without saving", "abandon", "error")]
        self.push_screen(AbandonScreen("leave without saving?", text, answers), self._on_abandon_answer)

    def _on_abandon_answer(self, answer: str | None) -> None:
        if answer == "abandon":
            self.control.stop()
            self._abandon(EXIT_INTERRUPTED)

    def _reload_browser(self) -> None:
        from claf_tui.screens.checkpoints.browser import CheckpointBrowser

        for screen in self.screen_stack:
            if isinstance(screen, CheckpointBrowser):
                screen.action_reload()


class AbandonScreen(ConfirmScreen):
    """The question whether to leave without saving."""
