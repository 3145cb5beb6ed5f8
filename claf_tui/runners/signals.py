"""What signals do where no console handles them.

A run in lines is asked to save and leave by the first and ended by the second, or by the first where it has nothing to
save yet; every other command just leaves, but through its clean-up, so that a progress bar gives the cursor back.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from claf_engine.events.control import Control
from claf_tui.console.handlers import STOPPING, OnHangup, handled
from claf_tui.reports import output
from claf_tui.words import exit_codes

CURSOR_ON = b"\x1b[?25h"
LEAVING_SECONDS = 1.5
"""Seconds that the clean-up of a command gets, which writes nothing that takes longer."""


@dataclass
class Received:
    """What came so far.

    Attributes:
        number: the first signal, or None.
        is_insisted: whether one of them was somebody's wish; a hang-up is nobody's, and a terminal that goes away sends
            several.
        has_begun: whether the run has told of more than what it loads; before that there is nothing to save.
    """

    number: int | None = None
    is_insisted: bool = False
    has_begun: bool = False


@contextmanager
def stopping_signals(
    control: Control,
    leave: Callable[[int], None] = os._exit,
    say: Callable[[str], None] = output.note_from_signal,
    on_hangup: OnHangup = "save",
) -> Iterator[Received]:
    """Let ctrl+c, termination and hang-up stop the run; what was ignored before (as by nohup) stays ignored.

    Args:
        control: what the run polls.
        leave: ends the process with an exit code.
        say: writes one line from the handler.
        on_hangup: what a hang-up does.

    Yields:
        Which signal came.
    """
    received = Received()

    def stop(number: int, _frame: FrameType | None) -> None:
        is_wish = number != signal.SIGHUP
        if not is_wish and on_hangup == "leave":
            return
        if not is_wish and on_hangup == "stop":
            leave(exit_codes.of_signal(number))
        if not received.has_begun or (is_wish and received.is_insisted):
            leave(exit_codes.of_signal(number))
        received.is_insisted |= is_wish
        if received.number is not None:
            return
        received.number = number
        control.stop()
        say("stopping: finishes the step and saves; a second signal leaves at once")

    with handled(STOPPING, stop):
        yield received


@contextmanager
def leaving_signals() -> Iterator[None]:
    """Let a signal raise `KeyboardInterrupt` or `SystemExit` with its exit code, and end the process soon in any case.

    The exception may be raised where Python can only drop it, as in the callback of a weak reference.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        last_resort = threading.Timer(LEAVING_SECONDS, _leave_uncleaned, [exit_codes.of_signal(number)])
        last_resort.daemon = True
        last_resort.start()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(exit_codes.of_signal(number))

    with handled(STOPPING, leave):
        yield


def _leave_uncleaned(code: int) -> None:
    try:
        if os.isatty(2):
            output.write_unwaited(CURSOR_ON)
    finally:
        os._exit(code)
