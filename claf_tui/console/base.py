"""What every console has in common: the engine's thread, the poll, leaving, help; no screen and no file logic."""

import gc
import importlib
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import ClassVar, TextIO

from textual import on
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Print
from textual.screen import Screen

from claf_engine import events as ev
from claf_engine.events.control import WAITING, Control
from claf_tui.console.bridge import Engine, EngineThread, describe
from claf_tui.console.driver import ConsoleDriver, KeyboardLost
from claf_tui.console.handlers import OnHangup
from claf_tui.console.pace import SHARE, Drawn, is_due
from claf_tui.console.palette import PaletteApp
from claf_tui.console.toasts import toast_of
from claf_tui.screens.abandon_dialog import ABANDON, AbandonScreen
from claf_tui.screens.confirm_dialog import CANCEL, Answer, ConfirmScreen
from claf_tui.state.moment import Moment
from claf_tui.widgets.keys import named
from claf_tui.words import exit_codes

POLLS_PER_SECOND = 6
CPU_SHARE = SHARE
"""Of one core: what drawing may take while nothing but progress happens."""
BROWSER = "claf_tui.screens.checkpoints.browser"
PRELOAD_SECONDS = 3.0
"""After which a screen that is not shown yet is loaded; by then the first one is up."""
SWITCH_INTERVAL = 0.001
"""Seconds after which the engine's thread yields to the console's; the default of 5 ms makes keys feel slow."""
STOP, GO_ON = "stop", "go on"
"""Ways to leave live work: it ends; it goes on in a process of its own."""
STOP_ANSWER = Answer("y", "stop and save", STOP, "warning")
MAX_TOLD = 3
"""Toasts for one poll, so that the history of a watched run does not flood the screen."""


def set_loaded_aside() -> None:
    """Spare the garbage collector what is loaded by now: libraries stay, and each full collection would walk them all.

    Such a walk takes 0.1 s on a free core and more while training; no key is answered and no step begins meanwhile.
    """
    gc.collect()
    gc.freeze()


class ConsoleApp(PaletteApp):
    """Plays an engine, is left with the right exit code, and leaves to its subclasses what is shown.

    Args:
        engine: makes the events; called once, in its own thread.
        control: what the engine polls.
        read_only: the work is another process's and is only watched.
        log_file: receives what other code prints while the console is up.
        is_series: the engine may play several runs or none, so that the end of all is that it leaves.

    Attributes:
        was_abandoned: whether the console was left without waiting for the engine to leave.
        is_hung_up: whether the terminal is gone.
        on_hangup: what the work does then.
        goes_on: whether a person wants the work to go on in a process of its own, once it is saved.
        broken_by: what was raised while the screen was drawn or a key answered, or None; it ends the console.
    """

    TITLE = "claf-tui"
    CSS_PATH = "console.tcss"
    LEAVE_TEXT: ClassVar[str]
    """What leaving means while the engine is at work."""
    on_hangup: OnHangup = "save"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "interrupt", "quit", show=False, priority=True),
        Binding("question_mark,f1", "help", "help"),
        Binding("b", "checkpoints", "checkpoint browser"),
    ]
    BINDINGS = named("app", BINDINGS)

    def __init__(
        self,
        engine: Engine,
        control: Control,
        *,
        read_only: bool = False,
        log_file: TextIO | None = None,
        is_series: bool = True,
    ) -> None:
        super().__init__(driver_class=ConsoleDriver)
        self.control = control
        self.thread = EngineThread(engine, control, is_series=is_series)
        self.was_abandoned = False
        self.broken_by: Exception | None = None
        self.read_only = read_only
        self._log_file = log_file
        self._frame = 0
        self._drawn: Drawn | None = None
        self._drawn_word = ""
        self._switch_interval = sys.getswitchinterval()
        self._started = time.monotonic()
        self._leaves_when_done = False
        self._has_rung = False
        self._signal: int | None = None
        self.is_hung_up = False
        self.goes_on = False

    @property
    def home(self) -> Screen[None]:
        """The screen that the console begins with."""
        raise NotImplementedError

    def take(self, event: ev.Event) -> None:
        """Fold one event of the engine into the state."""
        raise NotImplementedError

    def draw(self, moment: Moment) -> None:
        """Show the state."""
        raise NotImplementedError

    @property
    def word(self) -> str:
        """The status word."""
        raise NotImplementedError

    def abandon_screen(self) -> AbandonScreen:
        """Make the question whether to leave without waiting for the engine."""
        raise NotImplementedError

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come: the engine has left, and all that it sent was taken."""
        return self.thread.has_left

    @property
    def can_resume(self) -> bool:
        """Whether the console may be left to go on from another checkpoint."""
        return False

    @property
    def reason(self) -> str:
        """Why the work failed, or an empty string."""
        return "" if self.thread.error is None else describe(self.thread.error)

    def _handle_exception(self, error: Exception) -> None:
        """Note what ends the console; Textual itself tells nobody but its own tests."""
        self.broken_by = self.broken_by or error
        super()._handle_exception(error)

    @property
    def ending(self) -> exit_codes.Ending:
        """How the work ended, as it stands."""
        return exit_codes.Ending(error=self.thread.error, signal=self._signal, is_watched=self.read_only)

    @property
    def exit_code(self) -> int:
        """What the process should end with, as the work stands."""
        return exit_codes.code_of(self.ending)

    @property
    def is_live(self) -> bool:
        """Whether work is going on in this process."""
        return not self.read_only and not self.has_ended and self.thread.is_alive

    @property
    def must_save(self) -> bool:
        """Whether the engine has something to save that it has not saved yet, for all that is known."""
        return not self.read_only and self.thread.is_alive and self.thread.has_begun

    @property
    def is_left_alone(self) -> bool:
        """Whether the terminal is gone, and the engine goes on without one."""
        return self.is_hung_up and self.on_hangup == "leave" and self._signal is None and self.thread.is_alive

    @property
    def can_steer(self) -> bool:
        """Whether this console can still change what the work does."""
        return not self.read_only and not self.has_ended and not self.control.stop_requested

    @property
    def is_waiting(self) -> bool:
        """Whether the work is paused, or about to be."""
        return self.control.status in WAITING

    def pause_command(self, text: str, toggle: Callable[[], None]) -> SystemCommand:
        """Offer to pause, or to go on while that is what a person may want.

        Args:
            text: what it means to pause.
            toggle: does either.
        """
        if self.is_waiting:
            return SystemCommand("Go on", "end the pause", toggle)
        return SystemCommand("Pause", text, toggle)

    def on_mount(self) -> None:
        """Start the engine and begin to poll it."""
        self.push_screen(self.home)
        self.begin_capture_print(self)
        self._switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        self.thread.start()
        self.set_interval(1 / POLLS_PER_SECOND, self.poll)
        self.set_timer(PRELOAD_SECONDS, self._load_browser)

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
        must_wait = self.is_live and self.thread.has_begun
        events = self.thread.drain()
        for event in events:
            self.take(event)
        if not self.is_headless and any(isinstance(event, ev.RunStarted) for event in events):
            set_loaded_aside()
        for toast in [toast for event in events if (toast := toast_of(event, time.time()))][-MAX_TOLD:]:
            self.notify(toast.text, severity=toast.severity, markup=False, timeout=toast.seconds)
        if self.has_ended and not self._has_rung:
            self._has_rung = True
            self.bell()
        if any(isinstance(event, ev.CheckpointSaved) for event in events):
            self._reload_browser()
        has_news = any(not isinstance(event, ev.Progressed | ev.StepLogged) for event in events)
        self._draw_where_due(is_urgent=has_news or self.word != self._drawn_word)
        if self.is_hung_up or (self._leaves_when_done and not must_wait):
            self.was_abandoned = self.thread.is_alive and not self.thread.has_begun and not self.is_left_alone
            self.exit(return_code=self.exit_code)

    def _draw_where_due(self, *, is_urgent: bool) -> None:
        now = Drawn(time.monotonic(), time.thread_time())
        share = 0.0 if self._drawn_word == "PAUSED" else CPU_SHARE  # nothing moves then, and it may be for days
        if not is_urgent and not is_due(self._drawn, now, share):
            return
        self._drawn, self._drawn_word = now, self.word
        if self._drawn_word != "PAUSED":
            self._frame += 1
        with self.batch_update():
            self.draw(Moment(self._drawn_word, self._frame, now.at - self._started, time.time()))

    def leave_screen(self) -> ConfirmScreen:
        """Make the question how to leave live work; its answers are `STOP`, `GO_ON` and the empty one."""
        return ConfirmScreen("leave?", self.LEAVE_TEXT, [STOP_ANSWER, CANCEL])

    async def action_quit(self) -> None:
        """Leave; live work is asked to stop and save first."""
        if not self.is_live:
            self._leave()
        elif self.control.stop_requested:
            self._ask_to_abandon()
        elif not isinstance(self.screen, ConfirmScreen):
            self.push_screen(self.leave_screen(), self._on_quit_answer)

    async def action_interrupt(self) -> None:
        """Ctrl+C: the first asks to stop and save, the second offers to leave without saving, the third leaves."""
        if not self.is_live:
            self._leave()
        elif isinstance(self.screen, AbandonScreen):
            self._on_abandon_answer(ABANDON)
        elif self.control.stop_requested or isinstance(self.screen, ConfirmScreen):
            self._ask_to_abandon()
        else:
            await self.action_quit()

    def action_checkpoints(self) -> None:
        """Show the checkpoints of the run."""
        if self.run_directory is None:
            self.notify("the run has no folder yet", markup=False)
            return
        from claf_tui.screens.checkpoints.browser import CheckpointBrowser

        if not isinstance(self.screen, CheckpointBrowser):
            self.push_screen(CheckpointBrowser(self.run_directory, is_live=lambda: not self.can_resume))

    def on_signal(self, number: int) -> None:
        """Stop, save and leave with the first signal's code; may be called in any thread.

        After a hang-up nobody sees the screen: it is left at the next poll, and whoever ran it waits for the engine,
        which is not told where it is to go on.
        """
        self.is_hung_up |= number == signal.SIGHUP
        if number == signal.SIGHUP and self.on_hangup == "leave":
            return
        self._signal = self._signal or number
        self._leaves_when_done = True
        self.control.stop()

    @on(KeyboardLost)
    def hang_up(self) -> None:
        """Leave as after a hang-up, of which a process without a shell is not told."""
        self.on_signal(signal.SIGHUP)

    def _load_browser(self) -> None:
        """Load in another thread what the browser needs, so that its key is answered at once."""
        if self.check_action("checkpoints", ()):
            self.run_worker(partial(importlib.import_module, BROWSER), thread=True, exit_on_error=False)

    def take_rest(self) -> None:
        """Take what the engine has told since the last poll."""
        for event in self.thread.drain():
            self.take(event)

    def _leave(self) -> None:
        """Leave by all that the engine has told, be it after the last poll."""
        self.control.stop()
        self.take_rest()
        self.exit(return_code=self.exit_code)

    def _abandon(self, number: int) -> None:
        self.was_abandoned = self.thread.is_alive
        self.exit(return_code=exit_codes.of_signal(number))

    def _on_quit_answer(self, answer: str | None) -> None:
        if answer in (STOP, GO_ON):
            self.goes_on = answer == GO_ON
            self.control.stop()
            self._leaves_when_done = True

    def _ask_to_abandon(self) -> None:
        if not isinstance(self.screen, AbandonScreen):
            self.push_screen(self.abandon_screen(), self._on_abandon_answer)

    def _on_abandon_answer(self, answer: str | None) -> None:
        if answer == ABANDON:
            self.control.stop()
            self._abandon(signal.SIGINT)

    def _reload_browser(self) -> None:
        if BROWSER not in sys.modules:  # to load it takes longer than a frame, and none is open that was not loaded
            return
        from claf_tui.screens.checkpoints.browser import CheckpointBrowser

        for screen in self.screen_stack:
            if isinstance(screen, CheckpointBrowser):
                screen.action_reload()
