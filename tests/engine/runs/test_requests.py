from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine.events.control import LiveEdit
from claf_engine.runs.requests import Request
from claf_engine.terms.errors import ForeignFileError

PAUSE = Request("pause", "ab" * 16, "cd" * 16, "ann", "node1", 12, 1_790_000_000.25)
SET = Request("set", "ab" * 16, "cd" * 16, "ann", "node1", 12, 1_790_000_000.5, "learning_rate", 0.05)


@pytest.mark.parametrize("request_", [PAUSE, SET])
def test_a_request_comes_back_from_its_file_as_it_was(request_: Request) -> None:
    assert Request.from_bytes(Path("any"), request_.to_bytes()) == request_


def test_a_request_reads_as_it_is_typed() -> None:
    assert (PAUSE.text, SET.text) == ("pause", "set learning_rate=0.05")
    assert SET.edit == LiveEdit("learning_rate", 0.05, SET.who, SET.at)


@pytest.mark.parametrize(
    ("setting", "value", "text"),
    [("steps", 1.0, "pause after 1 more step"), ("phase", None, "pause at the end of the phase")],
)
def test_a_pause_that_comes_later_reads_as_it_is_said(setting: str, value: float | None, text: str) -> None:
    assert replace(PAUSE, name="pause-later", setting=setting, value=value).text == text


@pytest.mark.parametrize(("setting", "value"), [("steps", 0.0), ("steps", 1.5), ("steps", "x"), ("day", 1.0)])
def test_a_pause_at_no_time_is_none(setting: str, value: float | str) -> None:
    assert replace(PAUSE, name="pause-later", setting=setting, value=value).later is None


def test_file_names_sort_as_requests_were_asked() -> None:
    assert PAUSE.file_name < SET.file_name


@pytest.mark.parametrize("change", [b'"pause"', b"1e999", b"true", b"[1]"])
def test_a_field_of_another_type_is_refused(change: bytes) -> None:
    damaged = PAUSE.to_bytes().replace(b"1790000000.25", change)
    with pytest.raises((ValueError, ForeignFileError)):
        Request.from_bytes(Path("any"), damaged)
