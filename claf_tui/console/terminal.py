"""The terminal around the console: what other code writes goes to a file, and the terminal comes back clean.

Textual draws on file descriptor 2. C and C++ libraries and child processes write there too, past any Python capture,
and would land on the screen; so descriptors 1 and 2 point to a log file while the console is up.
"""

import atexit
import faulthandler
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

RESET = (
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l"  # mouse reports off
    "\x1b[?2004l\x1b[?1004l\x1b[<u"  # bracketed paste, focus reports and extended keys off
    "\x1b[?1049l\x1b[?25h\x1b[0m"  # main screen, cursor on, plain colours
)


@contextmanager
def captured_output(log_path: Path) -> Iterator[TextIO]:
    """Send descriptors 1 and 2 to a log file while the console owns the terminal, and undo it.

    The console itself keeps drawing: `sys.__stdout__` and `sys.__stderr__` become duplicates of the terminal.

    Args:
        log_path: is appended to; created with its folder when missing.

    Yields:
        The log file, line buffered.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1) as log_file:
        _flush()
        kept = sys.__stdout__, sys.__stderr__
        terminal_out, terminal_err = (os.fdopen(os.dup(number), "w", encoding="utf-8") for number in (1, 2))
        restore = _restorer(terminal_err)
        atexit.register(restore)
        try:
            _replace_standard(terminal_out, terminal_err)
            os.dup2(log_file.fileno(), 1)
            os.dup2(log_file.fileno(), 2)
            with _faults_to(log_file), _warnings_to(log_file):
                yield log_file
        finally:
            _flush()
            os.dup2(terminal_out.fileno(), 1)
            os.dup2(terminal_err.fileno(), 2)
            _replace_standard(*kept)
            atexit.unregister(restore)
            _close(terminal_out)
            _close(terminal_err)


def reset(stream: TextIO) -> None:
    """Bring a terminal back to plain text; does nothing when the stream is no terminal or is gone."""
    try:
        if stream.isatty():
            stream.write(RESET)
            stream.flush()
    except (OSError, ValueError):
        return  # the terminal hung up, or the stream is closed: there is nothing left to bring back


def _restorer(stream: TextIO) -> Callable[[], None]:
    return lambda: reset(stream)


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
    was_enabled = faulthandler.is_enabled()
    faulthandler.enable(file=log_file)
    try:
        yield
    finally:
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
