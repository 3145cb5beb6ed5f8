"""The console in a real terminal: a process of its own on a pseudo-terminal."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pyte

from claf_tui.console import terminal
from tests.tui.consoles import HANG

LAUNCH = """
import fcntl, os, sys, termios, time
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from pathlib import Path
from claf_engine.events.control import Control
from claf_tui.console.launch import run_console
from claf_tui.console.train_app import TrainingApp
from tests.tui.scripted import Script
folder = Path(sys.argv[1])
script = Script(folder / "run", holds_at=600)
def engine(control):
    os.write(2, b"NOISE FROM C\\n")
    for number, event in enumerate(script(control)):
        if number == 20:
            os.write(1, b"MORE NOISE\\n")
        yield event
        while "deaf" in sys.argv:
            time.sleep(0.05)
result = run_console(TrainingApp, engine, Control(), log_path=folder / "console.log")
(folder / "result").write_text(repr(result))
sys.exit(result.return_code)
"""


class Terminal:
    """A pseudo-terminal of 80 x 24 with a process on it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(folder), *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": os.getcwd()},
        )
        os.close(slave)
        self.written = b""
        self.screen = pyte.Screen(80, 24)
        self.stream = pyte.ByteStream(self.screen)

    def read(self, seconds: float) -> None:
        """Take what the process writes, for a while."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not select.select([self.master], [], [], 0.02)[0]:
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            self.written += data
            self.stream.feed(data.replace(b"\x1b[?2026$p", b"").replace(b"\x1b[>1u", b"").replace(b"\x1b[<u", b""))

    def until(self, text: str) -> float:
        """Wait until the screen shows a text; gives the seconds of processor time that the process took to it."""
        deadline = time.monotonic() + HANG
        while time.monotonic() < deadline:
            self.read(0.03)
            if text in "\n".join(self.screen.display):
                used = psutil.Process(self.process.pid).cpu_times()
                return used.user + used.system
        raise AssertionError("\n".join(self.screen.display))

    def left_with(self) -> int:
        """Wait for the process to leave and give its exit status."""
        deadline = time.monotonic() + HANG
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(0.05)
        self.read(0.05)
        return self.process.wait(1)


@contextmanager
def console_in_terminal(folder: Path, *arguments: str) -> Iterator[Terminal]:
    shown = Terminal(folder, *arguments)
    try:
        yield shown
    finally:
        if shown.process.poll() is None:
            shown.process.kill()
        shown.process.wait()
        with suppress(OSError):
            os.close(shown.master)


def test_sigterm_saves_restores_the_terminal_and_tells_its_code(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path) as shown:
        shown.until("RUNNING")
        shown.until("retrain")
        assert "NOISE" not in "\n".join(shown.screen.display)
        shown.process.send_signal(signal.SIGTERM)
        assert shown.left_with() == 143
    assert b"\x1b[?1049l" in shown.written
    assert shown.written.rindex(b"\x1b[?25h") > shown.written.rindex(b"\x1b[?25l")
    assert b"NOISE" not in shown.written
    assert (tmp_path / "console.log").read_text().splitlines()[:2] == ["NOISE FROM C", "MORE NOISE"]
    assert list((tmp_path / "run" / "checkpoints").iterdir())


def test_a_terminal_that_goes_away_lets_the_run_save(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path) as shown:
        shown.until("RUNNING")
        os.close(shown.master)
        assert shown.process.wait(HANG) == 129
    assert "return_code=129" in (tmp_path / "result").read_text()
    assert list((tmp_path / "run" / "checkpoints").iterdir())


def test_the_first_picture_comes_soon_and_q_leaves_with_nothing_lost(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path) as shown:
        assert shown.until("claf-tui") < 5
        shown.until("RUNNING")
        os.write(shown.master, b"q")
        shown.until("leave?")
        os.write(shown.master, b"y")
        assert shown.left_with() == 0
    assert list((tmp_path / "run" / "checkpoints").iterdir())


def test_an_engine_that_never_answers_is_left_at_the_third_ctrl_c(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path, "deaf") as shown:
        shown.until("RUNNING")
        os.write(shown.master, b"\x03")
        shown.until("leave?")
        os.write(shown.master, b"\x03")
        shown.until("leave without saving?")
        os.write(shown.master, b"\x03")
        assert shown.left_with() == 130
    assert b"\x1b[?1049l" in shown.written


def test_captured_output_goes_to_the_file_and_comes_back(tmp_path: Path) -> None:
    code = (
        "import os, sys, warnings\n"
        "from pathlib import Path\n"
        "from claf_tui.console.terminal import captured_output\n"
        "with captured_output(Path(sys.argv[1])) as log:\n"
        "    os.write(1, b'one\\n'); os.write(2, b'two\\n'); warnings.warn('three')\n"
        "    sys.__stderr__.write('drawn\\n'); sys.__stderr__.flush()\n"
        "os.write(1, b'out\\n'); os.write(2, b'err\\n')\n"
    )
    log = tmp_path / "deep" / "console.log"
    done = subprocess.run([sys.executable, "-c", code, str(log)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("out\n", "drawn\nerr\n")
    assert log.read_text().startswith("one\ntwo\n")
    assert "three" in log.read_text()


def test_resetting_a_stream_that_is_no_terminal_writes_nothing(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as stream:
        terminal.reset(stream)
    terminal.reset(stream)
    assert (tmp_path / "file").read_text() == ""
