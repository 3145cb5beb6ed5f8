import pty
import re
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_tui.console.restore_terminal import LOCAL, RESET, modes_of, restore_modes
from tests.tui.pseudo_terminal import console_in_terminal


@pytest.fixture
def keyboard() -> Iterator[int]:
    master, slave = pty.openpty()
    with open(master, "wb"), open(slave, "rb"):
        yield slave


def take_away(keyboard: int, flags: int) -> list[object]:
    attributes = termios.tcgetattr(keyboard)
    attributes[LOCAL] &= ~flags
    termios.tcsetattr(keyboard, termios.TCSANOW, attributes)
    return termios.tcgetattr(keyboard)


def test_the_console_s_modes_are_undone(keyboard: int) -> None:
    before, modes = termios.tcgetattr(keyboard), modes_of(keyboard)
    assert take_away(keyboard, termios.ECHO | termios.ICANON | termios.ISIG) != before
    restore_modes(keyboard, modes)
    assert termios.tcgetattr(keyboard) == before


def test_the_modes_of_a_shell_that_has_the_terminal_again_stay(keyboard: int) -> None:
    modes = modes_of(keyboard)
    of_shell = take_away(keyboard, termios.ECHO | termios.ICANON)
    restore_modes(keyboard, modes)
    assert termios.tcgetattr(keyboard) == of_shell


def test_every_mode_that_the_console_sets_is_reset(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path) as shown:
        shown.until("RUNNING")
        written = shown.written.decode()
        shown.process.send_signal(signal.SIGKILL)
    changed = set(re.findall(r"\x1b\[\?(\d+)[hl]", written))
    assert {"1049", "25", "7", "1003", "2004"} <= changed
    assert changed <= set(re.findall(r"\x1b\[\?(\d+)[hl]", RESET))
    assert "\x1b[>" in written
    assert "\x1b[<u" in RESET
