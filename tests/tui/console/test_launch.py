import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_tui.console import base
from claf_tui.console.bridge import Engine
from claf_tui.console.launch import ConsoleResult, run_console, tell_failure
from claf_tui.console.train_app import TrainingApp
from claf_tui.state.moment import Moment

Shown = pytest.CaptureFixture[str]


def test_a_failure_is_told_with_its_reason_and_where_more_is(capsys: Shown) -> None:
    tell_failure(ConsoleResult(5, reason="out of memory"), Path("console.log"))
    assert capsys.readouterr().err == "error: out of memory (more in console.log)\n"


def test_a_failure_of_which_nothing_is_kept_names_no_log(capsys: Shown) -> None:
    tell_failure(ConsoleResult(3, reason="there are no images"), None)
    assert capsys.readouterr().err == "error: there are no images\n"


@pytest.mark.parametrize(
    "result", [ConsoleResult(0, reason="the network was slow"), ConsoleResult(8), ConsoleResult(143)]
)
def test_without_a_failure_nothing_is_told(result: ConsoleResult, capsys: Shown) -> None:
    tell_failure(result, Path("console.log"))
    assert capsys.readouterr().err == ""


class Headless(TrainingApp):
    CSS_PATH = Path(base.__file__).with_name("console.tcss")

    def run(self, **_: Any) -> Any:
        return super().run(headless=True)

    def draw(self, moment: Moment) -> None:
        if self.has_ended:
            self.exit(return_code=self.exit_code)


class Broken(Headless):
    def draw(self, moment: Moment) -> None:
        raise IndexError("no such cell")


def ends(_control: Control) -> Iterator[ev.Event]:
    yield ev.RunFinished("stopped", 1, 1.0)


def breaks(_control: Control) -> Iterator[ev.Event]:
    raise RecursionError("a deep line")
    yield


def launched(app: type[TrainingApp], engine: Engine, folder: Path, *, read_only: bool = False) -> ConsoleResult:
    return run_console(app, engine, Control(), log_path=folder / "console.log", read_only=read_only)


def test_a_console_whose_screen_breaks_says_so_and_does_not_end_with_0(tmp_path: Path) -> None:
    result = launched(Broken, ends, tmp_path)
    assert (result.return_code, result.reason) == (1, "the console broke: IndexError: no such cell")
    assert "IndexError: no such cell" in (tmp_path / "console.log").read_text()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_console_whose_engine_breaks_says_so_and_does_not_end_with_0(tmp_path: Path, read_only: bool) -> None:
    result = launched(Headless, breaks, tmp_path, read_only=read_only)
    assert (result.return_code, result.reason) == (1, "RecursionError: a deep line")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_console_of_which_nothing_breaks_ends_with_0(tmp_path: Path, read_only: bool) -> None:
    assert launched(Headless, ends, tmp_path, read_only=read_only).return_code == 0


@pytest.mark.parametrize(("number", "goes_on"), [(None, True), (signal.SIGHUP, True), (signal.SIGTERM, False)])
def test_a_run_that_is_left_running_goes_on_though_the_terminal_is_closed_and_not_after_a_signal_to_end(
    tmp_path: Path, number: signal.Signals | None, goes_on: bool
) -> None:
    class LeftRunning(Headless):
        def draw(self, moment: Moment) -> None:
            self.goes_on = True
            if number is not None:
                self.on_signal(number)
            super().draw(moment)

    assert launched(LeftRunning, ends, tmp_path).goes_on is goes_on
