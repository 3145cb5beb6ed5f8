"""What signals do where no console handles them.

A run in lines is asked to save and leave by the first and ended by the second; every other command just leaves, but
through its clean-up, so that a progress bar gives the cursor back.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from claf_engine.events.control import Control
from claf_tui.reports import output
from claf_tui.words import exit_codes

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LEAVING = (signal.SIGTERM, signal.SIGHUP)
"""Ctrl+c is not among them: it is an exception already."""


@dataclass
class Received:
    """The first signal that came, if any."""

    number: int | None = None


@contextmanager
def stopping_signals(control: Control) -> Iterator[Received]:
    """Let ctrl+c, termination and hang-up stop the run; what was ignored before (as by nohup) stays ignored.

    Yields:
        Which signal came.
    """
    received = Received()

    def stop(number: int, _frame: FrameType | None) -> None:
        if received.number is not None:
            os._exit(exit_codes.of_signal(number))
        received.number = number
        output.note_from_signal("stopping: finishes the step and saves; a second signal leaves at once")
        control.stop()

    with _handled(STOPPING, stop):
        yield received


@contextmanager
def leaving_signals() -> Iterator[None]:
    """Let termination and hang-up raise `SystemExit` with their exit code."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(exit_codes.of_signal(number))

    with _handled(LEAVING, leave):
        yield


@contextmanager
def _handled(numbers: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in numbers}
    for number, old in before.items():
        if old is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
