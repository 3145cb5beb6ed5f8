"""Serves signals and notices a terminal that went away, in a thread of its own, whatever the screen's loop is doing.

A loop can hang: in a key's handler, or in drawing on a terminal that does not read. What asks the process to leave must
not depend on it.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from claf_tui.console.base import ConsoleApp
from claf_tui.console.handlers import STOPPING, handled
from claf_tui.console.terminal import KEYBOARD, Screen
from claf_tui.words import exit_codes

SAVE_TIMEOUT = 60.0
"""Seconds that the engine gets to save before the process leaves anyhow."""
ANSWER_TIMEOUT = 5.0
"""Seconds that the screen gets afterwards to leave by itself."""
START_TIMEOUT = 1.0
"""The same where the engine has not begun, so that there is nothing to save."""
LOOK_SECONDS = 0.25
"""How often is looked whether the terminal is there and time is up."""
LOST = select.POLLHUP | select.POLLERR
FOCUS_LOST = b"\x1b[O"
"""What a terminal reports when its window is left for another."""


class Guard:
    """Asks the console to leave at a signal or when the terminal is gone, and leaves in its place when it hangs.

    The first signal lets the engine save, a second one leaves at once. A hang-up never counts as the second: it is
    nobody's insistence, and one terminal that goes away sends several.

    Args:
        app: the console.
        screen: what it is drawn on.
        leave: ends the process with an exit code, though the main thread be stuck.

    Attributes:
        wakeup: descriptor that takes the numbers of signals.
    """

    def __init__(self, app: ConsoleApp, screen: Screen, leave: Callable[[int], None]) -> None:
        self._app = app
        self._screen = screen
        self._leave = leave
        self._asked_at: float | None = None
        self._free_since: float | None = None
        self._is_insisted = False
        self._is_closed = False
        self._numbers, self.wakeup = os.pipe()
        os.set_blocking(self.wakeup, False)
        self._terminals = {terminal for terminal in (KEYBOARD, screen.fileno()) if os.isatty(terminal)}
        self._thread = threading.Thread(target=self._watch, name="guard", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """Watch no longer."""
        self._is_closed = True
        os.write(self.wakeup, b"\0")
        self._thread.join()
        os.close(self._numbers)
        os.close(self.wakeup)

    def _watch(self) -> None:
        poller = select.poll()
        poller.register(self._numbers, select.POLLIN)
        for terminal in self._terminals:
            poller.register(terminal, 0)  # tells of nothing but its end
        while not self._is_closed:
            for descriptor, what in poller.poll(1000 * LOOK_SECONDS):
                if descriptor == self._numbers:
                    for number in os.read(self._numbers, 64):
                        self._take(number)
                    continue
                poller.unregister(descriptor)  # it would tell of its end for ever
                if what & LOST:
                    self._lose(descriptor)
            if self._screen.is_lost:
                self._take(signal.SIGHUP)
            if self._is_overdue():
                self._app.take_rest()
                self._leave(self._app.exit_code)

    def _take(self, number: int) -> None:
        if number not in STOPPING:
            return
        if number != signal.SIGHUP:
            if self._is_insisted:
                self._leave(exit_codes.of_signal(number))
            self._is_insisted = True
        elif self._app.on_hangup == "stop":
            self._leave(exit_codes.of_signal(number))
        if self._asked_at is None and not (number == signal.SIGHUP and self._app.on_hangup == "leave"):
            self._asked_at = time.monotonic()
        self._app.on_signal(number)

    def _lose(self, terminal: int) -> None:
        if terminal == KEYBOARD:
            _silence_keyboard()
        self._take(signal.SIGHUP)

    def _is_overdue(self) -> bool:
        """Whether the console was asked to leave, has nothing to wait for, and is still there."""
        now = time.monotonic()
        if self._asked_at is None and self._app.is_hung_up and not self._app.thread.is_alive:
            self._asked_at = now  # the work went on without a terminal, and has ended
        if self._asked_at is None:
            return False
        if self._app.must_save and now - self._asked_at < SAVE_TIMEOUT:
            return False
        if self._free_since is None:
            self._free_since = now
        return now - self._free_since > (ANSWER_TIMEOUT if self._app.thread.has_begun else START_TIMEOUT)


@contextmanager
def guarded(app: ConsoleApp, screen: Screen, leave: Callable[[int], None]) -> Iterator[None]:
    """Guard a console (see `Guard`) with the signals that stop it; what was ignored before, as by nohup, stays ignored.

    Called in the main thread, before the console's loop begins.
    """
    guard = Guard(app, screen, leave)
    guard.start()
    try:
        with handled(STOPPING, _left_to_guard):
            wakeup = signal.set_wakeup_fd(guard.wakeup, warn_on_full_buffer=False)
            try:
                yield
            finally:
                signal.set_wakeup_fd(wakeup)
    finally:
        guard.close()


def _left_to_guard(_number: int, _frame: FrameType | None) -> None:
    """Python has written the number to the guard's pipe before it calls this."""


def _silence_keyboard() -> None:
    """Put a pipe in the place of a keyboard that is gone.

    From the end of a terminal one reads nothing, at once and for ever, and Textual's thread would do that. The pipe
    stays open; its only word is for a thread that is about to read.
    """
    quiet, end = os.pipe()
    os.write(end, FOCUS_LOST)
    os.dup2(quiet, KEYBOARD)
    os.close(quiet)
