"""The console in a real terminal: a process of its own on a pseudo-terminal."""

import io
import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

from claf_tui.console.terminal import Screen
from tests.tui.consoles import HANG
from tests.tui.pseudo_terminal import console_in_terminal


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
        shown.go_away()
        assert shown.process.wait(HANG) == 129
    assert "return_code=129" in (tmp_path / "result").read_text()
    assert list((tmp_path / "run" / "checkpoints").iterdir())


def test_the_first_picture_comes_soon_and_q_leaves_with_nothing_lost(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path) as shown:
        shown.until("claf-tui")
        assert shown.used < 5
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


def drawn_on(screen: Screen, text: str) -> None:
    stream = io.BufferedWriter(screen)
    stream.write(text.encode())
    stream.flush()
    stream.detach()


def test_a_screen_that_is_gone_takes_what_is_drawn_and_is_known_to_be_gone() -> None:
    reading, writing = os.pipe()
    screen = Screen(writing, "w")
    drawn_on(screen, "seen")
    assert (os.read(reading, 9), screen.is_lost) == (b"seen", False)
    os.close(reading)
    drawn_on(screen, "unseen")
    assert screen.is_lost
    screen.close()


def test_a_screen_that_another_program_set_not_to_wait_is_waited_for() -> None:
    master, slave = pty.openpty()
    os.set_blocking(slave, False)
    picture = "x" * 100_000
    unguarded = os.write(slave, picture.encode())
    assert 0 < unguarded < len(picture), "the terminal must be full in this test"
    screen = Screen(slave, "w")
    drawing = threading.Thread(target=drawn_on, args=(screen, picture))
    drawing.start()
    taken = 0
    while taken < unguarded + len(picture):
        taken += len(os.read(master, 65536))
    drawing.join(HANG)
    assert not screen.is_lost
    screen.close()
    os.close(master)
