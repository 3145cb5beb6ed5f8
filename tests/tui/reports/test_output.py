import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest

from claf_engine.events.ticks import Pulse
from claf_tui.reports import output, runs
from tests.tui.consoles import HANG
from tests.tui.hostile import EVERYTHING, HOSTILE

Shown = pytest.CaptureFixture[str]
REPORT = {
    "natural_accuracy": 0.93,
    "robust": [{"epsilon": "8/255", "robust_accuracy": 0.61, "attack": "pgd", "steps": 10, "space": "released-code"}],
}


def steps(*pulses: Pulse) -> Generator[Pulse, None, str]:
    yield from pulses
    return "report"


@pytest.mark.parametrize("text", HOSTILE)
def test_an_error_is_one_clean_line_on_stderr(text: str, capsys: Shown) -> None:
    output.error(f"cannot open {text}\n now")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: cannot open ")
    assert shown.err.count("\n") == 1
    assert shown.err.rstrip("\n").isprintable()


def test_a_long_error_stays_on_one_line(capsys: Shown) -> None:
    output.error("word " * 100)
    assert capsys.readouterr().err.count("\n") == 1


def test_an_error_for_a_terminal_that_is_gone_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("sys.stderr", Gone())
    output.error("x")


def test_a_note_goes_to_stderr(capsys: Shown) -> None:
    output.note(EVERYTHING)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.rstrip("\n").isprintable()


def test_a_note_from_a_signal_handler_bypasses_the_buffers(capfd: Shown) -> None:
    output.note_from_signal("stopping")
    assert capfd.readouterr().err == "stopping\n"


@pytest.mark.parametrize("is_full", [False, True])
def test_a_note_from_a_signal_waits_for_no_reader(is_full: bool) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while is_full:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    code = "from claf_tui.reports import output; output.note_from_signal('stopping')"
    subprocess.run([sys.executable, "-c", code], stderr=writing, check=True, timeout=HANG)
    os.close(writing)
    with open(reading, "rb") as reader:
        assert (b"stopping" in reader.read()) == (not is_full)


def test_a_record_is_ascii_json_on_stdout(capsys: Shown) -> None:
    output.record({"name": EVERYTHING})
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert json.loads(shown) == {"name": EVERYTHING}


def test_a_record_that_is_not_json_is_an_error_of_ours() -> None:
    with pytest.raises(ValueError, match="JSON"):
        output.record({"loss": float("nan")})


def test_a_pipe_gets_wide_tables_without_colours(capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    output.show(*runs.evaluation_tables({**REPORT, "data": "d" * 150}))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert any(len(line) > 150 for line in shown.splitlines())


def test_steps_are_followed_to_their_report_without_a_word_outside_of_a_terminal(capsys: Shown) -> None:
    assert output.follow(steps(Pulse("natural", 1, 2), Pulse("PGD", 2, 2))) == "report"
    shown = capsys.readouterr()
    assert shown.out + shown.err == ""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_with_the_activity(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert output.follow(steps(Pulse("PGD-10 [/b] \x07", 1, 2), Pulse("PGD-10 [/b] \x07", 2, 2))) == "report"
    assert "PGD-10 [/b] \ufffd" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()


def test_an_error_inside_the_steps_brings_the_cursor_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Generator[Pulse, None, str]:
        yield Pulse("x", 1, 2)
        raise ZeroDivisionError

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(ZeroDivisionError):
        output.follow(fail())
    assert "\x1b[?25h" in terminal.getvalue()


def test_output_is_the_only_module_that_prints() -> None:
    """But for the sentence of a program that cannot load it."""
    folder = Path(output.__file__).parents[1]
    printing = re.compile(r"sys\.std(out|err)\.write|(?<!\w)print\(|os\.write\([12],")
    found = {path.name for path in folder.rglob("*.py") if printing.search(path.read_text())}
    assert found == {"output.py", "__main__.py"}


def test_what_is_no_progress_goes_where_the_teller_writes_and_the_report_comes_last(capsys: Shown) -> None:
    def told() -> Generator[Pulse | str, None, str]:
        yield Pulse("attack", 0, 2)
        yield "first"
        yield Pulse("attack", 1, 2)
        yield "second"
        return "report"

    assert output.follow(told(), lambda item: output.text(str(item))) == "report"
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("first\nsecond\n", "")


def test_what_is_told_in_a_terminal_goes_to_stdout_although_a_bar_is_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    streams = Terminal(), io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", streams[0])
    monkeypatch.setattr("sys.stdout", streams[1])

    def told() -> Generator[Pulse | str, None, str]:
        yield Pulse("attack", 0, 2)
        yield "verdict"
        yield Pulse("attack", 1, 2)
        return "report"

    assert output.follow(told(), lambda item: output.text(str(item))) == "report"
    assert streams[1].getvalue() == "verdict\n"
    assert "verdict" not in streams[0].getvalue()


@pytest.mark.parametrize("values", [[], [{"a": 1}], [{"a": 1}, {"b": "\u202e"}]])
def test_a_list_of_records_is_json_with_one_a_line_and_plain_ascii(values: list[object], capsys: Shown) -> None:
    output.records(values)
    shown = capsys.readouterr().out
    assert json.loads(shown) == values
    assert shown.count("\n") == (len(values) + 2 if values else 1)
    assert shown.isascii()
