import io
import json
import re
from collections.abc import Generator
from pathlib import Path

import pytest
from rich.console import Console

from claf_engine import events as ev
from claf_engine.ticks import Pulse
from claf_tui import output, reports
from tests.tui.hostile import EVERYTHING, HOSTILE
from tests.tui.scripted import Script, robust_figure

Shown = pytest.CaptureFixture[str]
REPORT = {
    "natural_accuracy": 0.93,
    "robust": [{"epsilon": "8/255", "robust_accuracy": 0.61, "attack": "pgd", "steps": 10, "space": "released-code"}],
}


def text_of(*renderables: object) -> str:
    shown = Console(file=io.StringIO(), width=200, markup=False)
    for renderable in renderables:
        shown.print(renderable)
    assert isinstance(shown.file, io.StringIO)
    return shown.file.getvalue()


def steps(*pulses: Pulse) -> Generator[Pulse, None, str]:
    yield from pulses
    return "report"


def finished() -> ev.RunFinished:
    return Script(Path("/runs/20260101-000000-demo"))._finished()


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
    output.show(*reports.evaluation_tables({**REPORT, "data": "d" * 150}))
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


def test_the_selected_result_is_starred_and_says_what_selected_it() -> None:
    shown = text_of(*reports.run_report(finished(), Path("/runs/20260101-000000-demo")))
    starred = next(line for line in shown.splitlines() if line.startswith(f" {reports.STAR}"))
    assert starred.split()[1:5] == ["best", "natural", "93.1%", "63.1%"]
    assert "★ chosen by validation robust accuracy at 8/255; all figures are of test images" in shown
    assert "pgd-10 at 8/255" in shown


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("finished", "claf-tui eval 'my run' --eps 16/255"),
        ("stopped", "claf-tui train --resume 'my run'"),
        ("failed", "claf-tui runs"),
    ],
)
def test_the_next_command_fits_how_the_run_ended_and_can_be_pasted(status: str, command: str) -> None:
    assert reports.next_command(status, Path("/runs/my run")) == command


def test_results_with_different_attacks_leave_gaps() -> None:
    first = ev.TestResult("best", "natural", 0.9, (robust_figure("8/255", 0.5),), selected=True)
    second = ev.TestResult("last", "natural", 0.8, (robust_figure("16/255", 0.4),), selected=False)
    shown = text_of(reports.results_table([first, second]))
    assert shown.count("–") == 2


def test_an_evaluation_names_space_and_attack() -> None:
    shown = text_of(*reports.evaluation_tables(REPORT))
    assert all(text in shown for text in ("natural", "93.0%", "61.0%", "8/255", "pgd", "released-code"))


def test_foreign_text_in_a_report_is_cleaned() -> None:
    foreign = dict.fromkeys(("classifier", "checkpoint", "data", "device", "weights_sha256"), EVERYTHING)
    item = dict.fromkeys(("epsilon", "attack", "steps", "step_size", "space"), EVERYTHING)
    record = {**foreign, "natural_accuracy": 0.9, "robust": [{**item, "robust_accuracy": 0.5}]}
    shown = text_of(*reports.evaluation_tables(record))
    assert all(character.isprintable() or character == "\n" for character in shown)
    result = ev.TestResult(EVERYTHING, EVERYTHING, 0.9, (), selected=True)
    ended = ev.RunFinished("finished", 1, 1.0, (result,), selected_on=EVERYTHING)
    shown = text_of(*reports.run_report(ended, Path(EVERYTHING.replace("/", ""))))
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_output_is_the_only_module_that_prints() -> None:
    folder = Path(output.__file__).parent
    printing = re.compile(r"sys\.std(out|err)\.write|(?<!\w)print\(|os\.write\(")
    found = {path.name for path in folder.rglob("*.py") if printing.search(path.read_text())}
    assert found == {"output.py"}
