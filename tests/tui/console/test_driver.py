"""A console that is stopped and goes on, and one whose keys end."""

import os
import signal
import termios
import time
from pathlib import Path

import psutil

from claf_tui.console.guard import LOOK_SECONDS
from tests.tui.pseudo_terminal import Terminal, console_in_terminal


def num_threads(shown: Terminal) -> int:
    return psutil.Process(shown.process.pid).num_threads()


def stop(shown: Terminal, number: signal.Signals) -> None:
    shown.process.send_signal(number)
    shown.until(lambda: psutil.Process(shown.process.pid).status() == psutil.STATUS_STOPPED)


def go_on(shown: Terminal) -> None:
    shown.screen.reset()
    shown.process.send_signal(signal.SIGCONT)
    shown.until("RUNNING")


def test_a_stop_that_cannot_be_noticed_leaves_no_second_reader_and_no_foreign_mode(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path) as shown:
        shown.until("retrain")
        before, mode = num_threads(shown), termios.tcgetattr(shown.slave)
        assert mode != shown.modes
        for _ in range(3):
            stop(shown, signal.SIGSTOP)
            termios.tcsetattr(shown.slave, termios.TCSANOW, shown.modes)  # as a shell does
            go_on(shown)
        shown.until(lambda: termios.tcgetattr(shown.slave) == mode)
        assert num_threads(shown) == before
        os.write(shown.master, b"q")
        shown.until("leave?")
        os.write(shown.master, b"y")
        assert shown.left_with() == 0
        assert shown.is_restored


def test_a_stop_on_request_gives_the_terminal_back_meanwhile(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path) as shown:
        shown.until("RUNNING")
        assert not shown.is_restored
        stop(shown, signal.SIGTSTP)
        shown.until(lambda: shown.is_restored)
        go_on(shown)
        assert not shown.is_restored


def test_going_on_while_the_engine_saves_after_a_hang_up_does_not_break_it_off(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path, "deaf") as shown:
        shown.until("RUNNING")
        shown.process.send_signal(signal.SIGHUP)
        shown.until(lambda: shown.is_restored)
        shown.process.send_signal(signal.SIGCONT)
        assert shown.is_running_after(2 * LOOK_SECONDS)
        shown.process.send_signal(signal.SIGTERM)
        shown.process.send_signal(signal.SIGINT)
        assert shown.left_with() in {130, 143}


def test_a_keyboard_that_gives_errors_ends_the_console_as_a_hang_up_does(tmp_path: Path) -> None:
    with console_in_terminal(tmp_path, "unreadable") as shown:
        shown.until("RUNNING")
        os.write(shown.master, b"x")
        assert shown.is_running_after(2 * LOOK_SECONDS), "a key that means nothing ends nothing"
        (tmp_path / "gives-errors").touch()
        time.sleep(0.1)
        os.write(shown.master, b"x")
        assert shown.left_with() == 129
        assert shown.is_restored
