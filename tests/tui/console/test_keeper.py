"""A terminal after the death of the console on it."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.tui.pseudo_terminal import Terminal, console_in_terminal

DEADLY = [signal.SIGQUIT, signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL]


def keepers(shown: Terminal) -> list[psutil.Process]:
    """The small processes beside the console."""
    children = psutil.Process(shown.process.pid).children()
    return [child for child in children if any("restore_terminal" in word for word in child.cmdline())]


@pytest.mark.parametrize("number", DEADLY)
def test_a_console_that_a_signal_kills_leaves_a_sane_terminal(tmp_path: Path, number: signal.Signals) -> None:
    with console_in_terminal(tmp_path) as shown:
        shown.until("RUNNING")
        (keeper,) = keepers(shown)
        assert not shown.is_restored
        # Reading where the other threads are while they run can fault by itself, which ends the process then, or not
        # come to an end: so they wait.
        os.write(shown.master, b" ")
        shown.until("PAUSED")
        shown.process.send_signal(number)
        assert shown.left_with() in {-number, -number if number == signal.SIGKILL else -signal.SIGSEGV}
        shown.until(lambda: shown.is_restored)
        shown.until(lambda: not keeper.is_running())
    assert ("most recent call first" in (tmp_path / "console.log").read_text()) == (number != signal.SIGKILL)


def test_without_its_keeper_the_terminal_stays_as_the_console_had_it(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path) as shown:
        shown.until("RUNNING")
        (keeper,) = keepers(shown)
        keeper.kill()
        shown.process.kill()
        assert shown.left_with() == -signal.SIGKILL
        shown.read(1.0)
        assert not shown.is_restored


def test_a_library_that_aborts_leaves_a_sane_terminal_and_where_it_was_in_the_log(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path) as shown:
        shown.until("RUNNING")
        os.write(shown.master, b"q")
        shown.until("leave?")
        (tmp_path / "aborts").touch()
        os.write(shown.master, b"y")
        assert shown.left_with() == -signal.SIGABRT
        shown.until(lambda: shown.is_restored)
    assert "in engine" in (tmp_path / "console.log").read_text()


def test_a_console_that_leaves_takes_its_keeper_with_it_and_writes_nothing_afterwards(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path) as shown:
        shown.until("RUNNING")
        (keeper,) = keepers(shown)
        shown.process.send_signal(signal.SIGTERM)
        assert shown.left_with() == 143
        assert not keeper.is_running()
        assert shown.is_restored
        assert b"\x1b[?2026l\x1b[?1000l" not in shown.written


def test_a_keeper_whose_console_goes_with_the_terminal_goes_too(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path, "deaf") as shown:
        shown.until("RUNNING")
        (keeper,) = keepers(shown)
        shown.go_away()
        assert keeper.is_running()
        shown.process.kill()
        assert keeper.wait(5) is None or not keeper.is_running()


def test_a_console_whose_keeper_was_killed_leaves_as_ever(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path) as shown:
        shown.until("RUNNING")
        (keeper,) = keepers(shown)
        keeper.kill()
        shown.process.send_signal(signal.SIGTERM)
        assert shown.left_with() == 143
        assert shown.is_restored
