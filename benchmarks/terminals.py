"""A process on a pseudo-terminal, whose output is kept with the moment at which each piece of it came."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

COLUMNS, LINES = 140, 45
PIECE = 65536
POLL_SECONDS = 0.01
LEAVE_SECONDS = 10.0


def environment_in(folder: Path) -> dict[str, str]:
    """The environment of a command line that keeps its runs and drawn images in a folder, on a colour terminal."""
    own = {"CLAF_RUNS_DIR": str(folder / "runs"), "CLAF_CACHE_DIR": str(folder / "cache"), "TERM": "xterm-256color"}
    return {**os.environ, **own}


class Terminal:
    """A pseudo-terminal with one process on it; on leaving, the process is killed where it still runs.

    A thread takes what the process writes, as a terminal emulator does, and interprets none of it.

    Attributes:
        began: when the process was started, on `time.perf_counter`, as all moments are.
        pieces: what it wrote, each piece with the moment it came.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._controller, process_end = pty.openpty()
        fcntl.ioctl(process_end, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.pieces: list[tuple[float, bytes]] = []
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=process_end,
            stdout=process_end,
            stderr=process_end,
            start_new_session=True,
            env=dict(environment),
        )
        os.close(process_end)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(LEAVE_SECONDS)
        os.close(self._controller)

    def send(self, keys: bytes) -> float:
        """Press keys; gives the moment before they were written."""
        now = time.perf_counter()
        os.write(self._controller, keys)
        return now

    def arrival_of(self, text: bytes, seconds: float) -> float:
        """The moment at which the process had written a text; waits for it for so many seconds.

        Raises:
            TimeoutError: it did not write it, or left before it did.
        """
        deadline = time.perf_counter() + seconds
        while True:
            has_left = self.process.poll() is not None
            if (moment := _moment_of(text, list(self.pieces))) is not None:
                return moment
            if has_left or time.perf_counter() > deadline:
                raise TimeoutError(f"{text!r} was not written; the last output was {self._last()!r}")
            time.sleep(POLL_SECONDS)

    def leave(self) -> int:
        """Wait until the process leaves by itself; gives its exit status.

        Raises:
            TimeoutExpired: it does not.
        """
        return self.process.wait(LEAVE_SECONDS)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # so does Linux say that the process has closed its end
            while piece := os.read(self._controller, PIECE):
                self.pieces.append((time.perf_counter(), piece))

    def _last(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)[-300:]


def _moment_of(text: bytes, pieces: Sequence[tuple[float, bytes]]) -> float | None:
    end = b"".join(piece for _, piece in pieces).find(text)
    if end < 0:
        return None
    end += len(text)
    length = 0
    for moment, piece in pieces:
        length += len(piece)
        if length >= end:
            return moment
    return None
