"""The terminal around the console: what other code writes goes to a file, and the terminal comes back clean.

Textual draws on file descriptor 2. C and C++ libraries and child processes write there too, past any Python capture,
and would land on the screen; so descriptors 1 and 2 point to a log file while the console is up.
"""

import faulthandler
import io
import os
import select
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

KEYBOARD = 0
"""Descriptor that Textual reads from, and whose modes it changes."""


class Screen(io.FileIO):
    """The terminal as it is written to: one that is gone takes everything, and one that is full is waited for.

    An error would end Textual's writing thread, and then its full queue would hold the screen's loop for ever.

    Attributes:
        is_lost: whether something could not be written.
    """

    is_lost = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write what the terminal takes at once, of what is gone everything; gives the number of bytes."""
        try:
            while (number := super().write(data)) is None:  # another program has set the terminal not to wait
                select.select([], [self], [])
        except OSError:
            self.is_lost = True
            return memoryview(data).nbytes
        return number


@contextmanager
def captured_output(log_path: Path) -> Iterator[tuple[TextIO, Screen]]:
    """Send descriptors 1 and 2 to a log file while the console owns the terminal, and undo it.

    The console itself keeps drawing: `sys.__stdout__` and `sys.__stderr__` become duplicates of the terminal.

    Args:
        log_path: is appended to; created with its folder when missing.

    Yields:
        The log file, line buffered, and what Textual draws on.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1) as log_file:
        _flush()
        kept = sys.__stdout__, sys.__stderr__
        screen = Screen(os.dup(2), "w")
        terminal_out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        terminal_err = io.TextIOWrapper(io.BufferedWriter(screen), encoding="utf-8")
        try:
            _replace_standard(terminal_out, terminal_err)
            os.dup2(log_file.fileno(), 1)
            os.dup2(log_file.fileno(), 2)
            with _faults_to(log_file), _warnings_to(log_file):
                yield log_file, screen
        finally:
            _flush()
            os.dup2(terminal_out.fileno(), 1)
            os.dup2(terminal_err.fileno(), 2)
            _replace_standard(*kept)
            _close(terminal_out)
            _close(terminal_err)


def _replace_standard(out: TextIO | None, err: TextIO | None) -> None:
    sys.__stdout__, sys.__stderr__ = out, err  # type: ignore[misc,assignment]


def _close(stream: TextIO) -> None:
    try:
        stream.close()
    except OSError:
        return  # the terminal hung up: what was still to be drawn has nowhere to go


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue  # a closed stream holds nothing back


@contextmanager
def _faults_to(log_file: TextIO) -> Iterator[None]:
    """Write where each thread is to the log file when a fault or SIGQUIT ends the process.

    It must work where Python is held for ever, so nothing waits for the threads to stand still: the frames of one that
    runs may be read half changed, which now and then ends the process with SIGSEGV in the middle of the writing.
    """
    was_enabled = faulthandler.is_enabled()
    faulthandler.enable(file=log_file)
    faulthandler.register(signal.SIGQUIT, file=log_file, chain=True)
    try:
        yield
    finally:
        faulthandler.unregister(signal.SIGQUIT)
        faulthandler.disable()
        if was_enabled:
            _enable_faults()


def _enable_faults() -> None:
    try:
        faulthandler.enable()
    except (io.UnsupportedOperation, ValueError, RuntimeError):
        return  # stderr is no real file, as under a test runner


@contextmanager
def _warnings_to(log_file: TextIO) -> Iterator[None]:
    """Write Python warnings to the log file; filters stay as they are."""
    shown = warnings.showwarning

    def write(message: Warning | str, category: type[Warning], *where: Any, **_: Any) -> None:
        log_file.write(warnings.formatwarning(message, category, *where[:2]))

    warnings.showwarning = write
    try:
        yield
    finally:
        warnings.showwarning = shown
