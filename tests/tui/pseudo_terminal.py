"""A console in a process of its own on a pseudo-terminal, with an engine that plays a script and then waits."""

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pyte

from tests.tui.consoles import HANG

SIZE = (80, 24)
LAUNCH = """
import os, sys, time
from pathlib import Path
from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_tui.console import base, guard
from claf_tui.console.launch import run_console
from claf_tui.console.train_app import TrainingApp
from tests.tui.scripted import Script
folder, faults = Path(sys.argv[1]), sys.argv[2:]
script = Script(folder / "run", holds_at=600)
if "ends" in faults:
    script = Script(folder / "run", delay=0.02)
class App(TrainingApp):
    on_hangup = next((fault for fault in faults if fault in ("leave", "stop")), "save")
    CSS_PATH = Path(base.__file__).with_name("console.tcss")
    def draw(self, moment):
        super().draw(moment)
        while (folder / "sticks").exists():
            (folder / "is-stuck").touch()
            time.sleep(0.01)
def engine(control):
    os.write(2, b"NOISE FROM C\\n")
    while "loading" in faults:
        time.sleep(0.05)
    for number, event in enumerate(script(control)):
        if number == 20:
            os.write(1, b"MORE NOISE\\n")
        if "unsaved" in faults and isinstance(event, ev.RunFinished):
            raise OSError("the disk is full")
        yield event
        if (folder / "aborts").exists():
            os.abort()
        while "deaf" in faults:
            time.sleep(0.05)
if "impatient" in faults:
    guard.ANSWER_TIMEOUT = 0.5
if "unreadable" in faults:
    def read(number, count, true_read=os.read):
        if number == 0 and (folder / "gives-errors").exists():
            raise OSError(5, "Input/output error")
        return true_read(number, count)
    os.read = read
result = run_console(App, engine, Control(), log_path=folder / "console.log")
(folder / "result").write_text(repr(result))
sys.exit(result.return_code)
"""


class Terminal:
    """A pseudo-terminal with a process on it.

    Args:
        command: what runs on it.
        size: its columns and rows.
        ignored: signals that it ignores.
        controls: whether it is the process's controlling terminal, so that its end is told by a signal.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        size: tuple[int, int] = SIZE,
        ignored: Sequence[signal.Signals] = (),
        controls: bool = True,
    ) -> None:
        def settle() -> None:
            # A shell without job control lets what it starts in the background ignore these two, and so would we.
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)
            if controls:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.master, self.slave = pty.openpty()
        columns, rows = size
        termios.tcsetwinsize(self.slave, (rows, columns))
        self.modes = termios.tcgetattr(self.slave)
        environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": os.getcwd()}
        # What a test before this one left there would count more than the terminal's own size.
        for name in ("CI", "COLUMNS", "LINES"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            command,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            preexec_fn=settle,
            env=environment,
        )
        self.written = b""
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)

    @property
    def modes_are_restored(self) -> bool:
        """Whether keys are echoed, gathered to lines and made signals as in the beginning."""
        return termios.tcgetattr(self.slave) == self.modes

    @property
    def is_restored(self) -> bool:
        """Whether it is as in the beginning: the modes, the screen, the cursor and the mouse."""
        ends = {b"\x1b[?1049l": b"\x1b[?1049h", b"\x1b[?25h": b"\x1b[?25l", b"\x1b[?1003l": b"\x1b[?1003h"}
        are_sane = all(self.written.rfind(end) > self.written.rfind(begin) for end, begin in ends.items())
        return are_sane and self.modes_are_restored

    @property
    def shown(self) -> str:
        """The text on the screen."""
        return "\n".join(self.screen.display)

    def press(self, keys: str) -> None:
        """Press keys, written as a terminal sends them."""
        os.write(self.master, keys.encode())

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size and tell the process."""
        termios.tcsetwinsize(self.slave, (rows, columns))
        self.process.send_signal(signal.SIGWINCH)

    def stick(self, folder: Path) -> None:
        """Hang the screen's loop for good."""
        (folder / "sticks").touch()
        self.until(lambda: (folder / "is-stuck").exists())

    @property
    def used(self) -> float:
        """Seconds of processor time that the process took so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def go_away(self) -> None:
        """Close both ends that the process does not hold."""
        os.close(self.slave)
        os.close(self.master)
        self.slave = self.master = -1

    def read(self, seconds: float) -> None:
        """Take what the process writes, for a while."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not select.select([self.master], [], [], 0.02)[0]:
                continue
            data = os.read(self.master, 65536)
            self.written += data
            for unknown in (b"\x1b[?2026$p", b"\x1b[?2048$p", b"\x1b[>1u", b"\x1b[<u"):
                data = data.replace(unknown, b"")
            self.stream.feed(data)

    def until(self, claim: str | Callable[[], object]) -> None:
        """Wait until the screen shows a text, or until a claim holds."""
        deadline = time.monotonic() + HANG
        while time.monotonic() < deadline:
            self.read(0.03)
            if claim in self.shown if isinstance(claim, str) else claim():
                return
        raise AssertionError(self.shown)

    def left_with(self) -> int:
        """Wait for the process to leave, take its last words, and give its exit status."""
        self.until(lambda: self.process.poll() is not None)
        self.read(0.1)
        return self.process.wait(1)

    def is_running_after(self, seconds: float) -> bool:
        """Whether the process has not left within some time."""
        self.read(seconds)
        return self.process.poll() is None


@contextmanager
def console_in_terminal(
    folder: Path, *faults: str, ignored: Sequence[signal.Signals] = (), controls: bool = True
) -> Iterator[Terminal]:
    """A console with an engine that plays a run, and the faults that are named."""
    command = [sys.executable, "-c", LAUNCH, str(folder), *faults]
    with process_in_terminal(command, ignored=ignored, controls=controls) as shown:
        yield shown


@contextmanager
def process_in_terminal(
    command: Sequence[str],
    *,
    size: tuple[int, int] = SIZE,
    ignored: Sequence[signal.Signals] = (),
    controls: bool = True,
) -> Iterator[Terminal]:
    """A process on a pseudo-terminal, killed in the end."""
    shown = Terminal(command, size=size, ignored=ignored, controls=controls)
    try:
        yield shown
    finally:
        if shown.process.poll() is None:
            shown.process.kill()
        shown.process.wait()
        for descriptor in (shown.master, shown.slave):
            with suppress(OSError):
                os.close(descriptor)


def num_saved(folder: Path) -> int:
    """Checkpoints that the played run has saved."""
    return len(list((folder / "run" / "checkpoints").glob("*")))
