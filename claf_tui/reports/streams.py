"""The standard streams as services, cron jobs and pipes leave them: closed, full, broken, or of another encoding."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from claf_engine.terms.errors import ClafError
from claf_tui.words import exit_codes


class OutputLost(ClafError):
    """What was printed reached nobody: the reader is gone, the disk is full, or stdout is closed."""

    exit_code = exit_codes.OUTPUT_LOST


def prepare_streams() -> None:
    """Make three open streams of whatever the process was started with, which take every text; call it first.

    A closed descriptor is opened, because the next file that is opened would get its number, and with it all that
    libraries print. Nothing can be read from a closed stdin; what is written to a closed stderr is dropped; what is
    written to a closed stdout is an error, since nobody asked for data without wanting it. Characters that an encoding
    lacks are written as escapes.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        if not _is_open(number):
            _open_null(number, flags)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (open as long as the process lives)
    if sys.stdout is None:
        sys.stdout = sys.__stdout__ = _writer(1)  # type: ignore[misc,assignment]
    if sys.stderr is None:
        sys.stderr = sys.__stderr__ = _writer(2)  # type: ignore[misc,assignment]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def written_to(stream: TextIO) -> Iterator[None]:
    """Flush a stream after it was written to, and say when that reached nobody.

    Raises:
        OutputLost: it could not be written. What it still holds is dropped, so that leaving does not fail of it too.
    """
    try:
        yield
        stream.flush()
    except OSError as error:
        _drop(stream)
        raise OutputLost(_sentence(stream, error)) from error


def send_to(path: Path) -> None:
    """Append what is printed from now on to a file; where that cannot be opened, all stays as it is."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for number in (1, 2):
            os.dup2(descriptor, number)
        os.close(descriptor)


def _sentence(stream: TextIO, error: OSError) -> str:
    name = "stderr" if stream is sys.stderr else "stdout"
    if error.errno == errno.EPIPE:
        return f"the reader of {name} has left before the end; let it read on, or write to a file"
    if error.errno == errno.EBADF:
        return f"{name} is closed, so nothing can be printed; open it, or send it to a file"
    return f"cannot write to {name}: {error.strerror or error}; make room, or write to another place"


def _drop(stream: TextIO) -> None:
    """Let what a stream still holds, and what comes, go nowhere."""
    with suppress(OSError, ValueError):  # it is no real file, as under a test runner
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        stream.flush()


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _open_null(number: int, flags: int) -> None:
    null = os.open(os.devnull, flags)
    if null != number:
        os.dup2(null, number)
        os.close(null)
    os.set_inheritable(number, True)  # children of this process have three streams too


def _writer(number: int) -> TextIO:
    return open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
