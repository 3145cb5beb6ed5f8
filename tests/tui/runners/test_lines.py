import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.terms.errors import DataError
from claf_tui.runners.lines import play_in_lines

NOTICE = ev.Notice("info", "x")


def test_every_event_is_shown_and_no_signal_is_told(tmp_path: Path) -> None:
    shown: list[ev.Event] = []
    assert play_in_lines(lambda _: iter([NOTICE, NOTICE]), shown.append, tmp_path / "console.log") is None
    assert shown == [NOTICE, NOTICE]


def test_a_signal_stops_the_engine_and_its_number_comes_back(tmp_path: Path) -> None:
    def engine(control: Control) -> Iterator[ev.Event]:
        yield NOTICE
        os.kill(os.getpid(), signal.SIGTERM)
        while not control.stop_requested:
            yield NOTICE

    assert play_in_lines(engine, lambda _: None, tmp_path / "console.log") == signal.SIGTERM


def raising(error: Exception) -> Iterator[ev.Event]:
    yield NOTICE
    raise error


def test_what_nobody_expected_leaves_its_traceback_and_a_note_of_where(tmp_path: Path) -> None:
    log_path = tmp_path / "console.log"
    with pytest.raises(ZeroDivisionError) as caught:
        play_in_lines(lambda _: raising(ZeroDivisionError("oh")), lambda _: None, log_path)
    assert caught.value.__notes__ == [f"traceback in {log_path}"]
    assert "in raising" in log_path.read_text()


def test_an_error_that_a_user_can_cause_leaves_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        play_in_lines(lambda _: raising(DataError("no images")), lambda _: None, tmp_path / "console.log")
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_does_not_hide_the_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        play_in_lines(lambda _: raising(ZeroDivisionError("oh")), lambda _: None, tmp_path / "gone" / "console.log")
    assert not hasattr(caught.value, "__notes__")
