"""What ends a console whatever its screen does, in a process of its own on a pseudo-terminal."""

import os
import pty
import select
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from claf_tui.console.guard import LOOK_SECONDS, START_TIMEOUT
from tests.tui.consoles import HANG
from tests.tui.pseudo_terminal import Terminal, console_in_terminal, num_saved


def waits_again(shown: Terminal, folder: Path) -> int:
    """Wait for the script to come to where it waits for a stop; gives the checkpoints so far."""
    shown.until("RUNNING")
    shown.until("retrain")
    return num_saved(folder)


@pytest.mark.parametrize(
    ("ignored", "controls"), [((), True), ((), False), ((signal.SIGHUP,), True), ((signal.SIGHUP,), False)]
)
def test_a_terminal_that_goes_away_is_noticed_with_and_without_a_signal(
    tmp_path: Path, ignored: tuple[signal.Signals, ...], controls: bool
) -> None:
    with console_in_terminal(tmp_path, ignored=ignored, controls=controls) as shown:
        before = waits_again(shown, tmp_path)
        assert shown.is_running_after(2 * LOOK_SECONDS), "it stays as long as its terminal does"
        shown.go_away()
        assert shown.process.wait(HANG) == 129
    assert "return_code=129" in (tmp_path / "result").read_text()
    assert num_saved(tmp_path) > before


def test_a_run_that_is_left_goes_on_without_its_terminal_and_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path, "leave", "ends") as shown:
        shown.until("RUNNING")
        before = num_saved(tmp_path)
        shown.go_away()
        assert shown.process.wait(HANG) == 0
    assert "reason=''" in (tmp_path / "result").read_text()
    assert num_saved(tmp_path) > before
    assert "run finished" in (tmp_path / "console.log").read_text()


def test_a_run_that_was_left_is_still_stopped_by_a_signal_and_saves(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path, "leave") as shown:
        before = waits_again(shown, tmp_path)
        shown.go_away()
        time.sleep(1)
        used = shown.used
        assert psutil.Process(shown.process.pid).children() == [], "the keeper of the terminal has gone with it"
        shown.process.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert shown.process.poll() is None
        assert shown.used - used < 0.5, "nothing is read or drawn over and over"
        shown.process.send_signal(signal.SIGTERM)
        assert shown.process.wait(HANG) == 143
    assert num_saved(tmp_path) > before


def test_a_run_that_is_left_goes_on_though_its_screen_hangs(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path, "leave", "ends") as shown:
        shown.until("RUNNING")
        shown.stick(tmp_path)
        shown.go_away()
        assert shown.process.wait(HANG) == 0
    assert num_saved(tmp_path) == 12


def test_a_run_that_is_to_stop_with_its_terminal_saves_nothing(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path, "stop") as shown:
        before = waits_again(shown, tmp_path)
        shown.go_away()
        assert shown.process.wait(HANG) == 129
    assert num_saved(tmp_path) == before


def num_reads_of_a_gone_terminal(seconds: float) -> int:
    """How often Textual's way to read keys reads in some time after the end of a terminal."""
    master, slave = pty.openpty()
    os.close(master)
    number, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([slave], [], [], 0.1)[0]:
            with suppress(OSError):
                assert os.read(slave, 4096) == b""
            number += 1
    os.close(slave)
    return number


def test_a_terminal_that_goes_away_is_not_read_over_and_over_though_the_screen_hangs(tmp_path: Path) -> None:
    assert num_reads_of_a_gone_terminal(0.2) > 500
    with console_in_terminal(tmp_path, "deaf", controls=False) as shown:
        shown.until("RUNNING")
        shown.stick(tmp_path)
        shown.go_away()
        time.sleep(0.5)
        before = shown.used
        time.sleep(1)
        assert shown.used - before < 0.25
        assert shown.process.poll() is None


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves_though_the_screen_hangs(tmp_path: Path, number: signal.Signals) -> None:
    with console_in_terminal(tmp_path, "impatient") as shown:
        before = waits_again(shown, tmp_path)
        shown.stick(tmp_path)
        os.write(shown.master, b"?")
        shown.read(0.5)
        assert "escape closes" not in "\n".join(shown.screen.display)
        shown.process.send_signal(number)
        assert shown.left_with() == 128 + number
        assert shown.is_restored
    assert num_saved(tmp_path) > before
    assert f"left with {128 + number} without waiting for the screen" in (tmp_path / "console.log").read_text()


def test_a_screen_that_answers_is_not_left_so(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path) as shown:
        waits_again(shown, tmp_path)
        os.write(shown.master, b"?")
        shown.until("escape closes")
        shown.process.send_signal(signal.SIGTERM)
        assert shown.left_with() == 143
        assert shown.is_restored
    assert "without waiting for the screen" not in (tmp_path / "console.log").read_text()


@pytest.mark.slow
def test_a_signal_saves_and_leaves_though_the_terminal_does_not_read(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path, "impatient") as shown:
        before = waits_again(shown, tmp_path)
        for number in range(20):  # pictures fill the terminal, and then the queue of what is to be written
            shown.resize(60, 200 + number)
            time.sleep(0.15)
        shown.process.send_signal(signal.SIGTERM)
        assert shown.process.wait(HANG) == 143
    assert num_saved(tmp_path) > before
    assert "without waiting for the screen" in (tmp_path / "console.log").read_text(), "the screen must be full"


@pytest.mark.parametrize("is_stuck", [False, True])
def test_a_second_signal_leaves_at_once_and_restores_the_terminal(tmp_path: Path, is_stuck: bool) -> None:
    with console_in_terminal(tmp_path, "deaf") as shown:
        shown.until("RUNNING")
        if is_stuck:
            shown.stick(tmp_path)
        shown.process.send_signal(signal.SIGTERM)
        assert shown.is_running_after(START_TIMEOUT + 2 * LOOK_SECONDS), "the first one waits for the engine"
        shown.process.send_signal(signal.SIGINT)
        assert shown.left_with() == 130
        assert shown.is_restored


def test_a_hang_up_never_counts_as_the_second_signal(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path, "deaf") as shown:
        shown.until("RUNNING")
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGCONT, signal.SIGHUP):
            shown.process.send_signal(number)
            assert shown.is_running_after(LOOK_SECONDS + 0.05)
        shown.process.send_signal(signal.SIGTERM)
        assert shown.left_with() == 143


def test_a_signal_while_the_engine_still_loads_is_not_kept_waiting(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path, "loading") as shown:
        shown.until("STARTING")
        assert shown.is_running_after(2 * LOOK_SECONDS), "it stays as long as nobody asks"
        started = time.monotonic()
        shown.process.send_signal(signal.SIGTERM)
        assert shown.left_with() == 143
        assert time.monotonic() - started < 5
        assert shown.is_restored


@pytest.mark.parametrize(("faults", "code"), [((), 129), (("unsaved",), 1)])
def test_the_code_of_a_hang_up_says_whether_the_run_was_saved(
    tmp_path: Path, faults: tuple[str, ...], code: int
) -> None:
    with console_in_terminal(tmp_path, *faults) as shown:
        waits_again(shown, tmp_path)
        shown.go_away()
        assert shown.process.wait(HANG) == code
