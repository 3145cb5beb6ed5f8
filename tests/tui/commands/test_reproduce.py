import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.reproduce import runner  # noqa: F401 (bound to the real engine before a scripted one takes its place)
from claf_engine.reproduce.forecast import Forecast
from claf_engine.reproduce.plan import ReproductionRequest
from claf_engine.terms.errors import RunLocked
from claf_tui import cli
from claf_tui.console.bridge import Engine
from claf_tui.console.launch import ConsoleResult
from claf_tui.reports import output
from claf_tui.reports.reproduction import result_tables, row_line
from claf_tui.words import exit_codes

Shown = pytest.CaptureFixture[str]
WAITING = ev.ReproductionRow("Natural", "claf", (), "waiting", None, (None, None), None, 0.924, (0.604, 0.483), 90.0)
DONE = dataclasses.replace(
    WAITING, status="finished", natural=0.9, robust=(0.5, 0.25), runs=("20260101-claf",), units=318.0, audit="warns"
)
FAILED = dataclasses.replace(WAITING, label="Adversarial", status="failed", reason="training diverged")


def table(rows: tuple[ev.ReproductionRow, ...], folder: Path, space: str = "pixel") -> ev.ReproductionChanged:
    columns = ("PGD-10 at 8/255", "PGD-10 at 16/255")
    return ev.ReproductionChanged("table4", "Linear evaluation", "tiny", space, columns, rows, None, str(folder))


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[ReproductionRequest]:
    """Puts a scripted reproduction in place of the real one, and remembers what was asked of it."""
    requests: list[ReproductionRequest] = []

    def reproduce(request: ReproductionRequest, control: Control) -> Iterator[ev.Event]:
        requests.append(request)
        if request.data == "folder:locked":
            raise RunLocked("another process fills it")
        moved = dataclasses.replace(DONE, largest_distance=None if request.space == "pixel" else 114 / 255)
        second = FAILED if request.seeds == 3 else dataclasses.replace(moved, label="Adversarial", status="reused")
        yield table((WAITING, dataclasses.replace(WAITING, label="Adversarial")), request.directory, request.space)
        yield ev.Notice("info", "trains")
        request.directory.mkdir(parents=True, exist_ok=True)
        (request.directory / "reproduction.json").write_text(json.dumps({"rows": [{"method": "claf"}]}))
        yield table((DONE, second), request.directory, request.space)
        if request.data == "folder:crash":
            raise ZeroDivisionError("oh")

    monkeypatch.setattr("claf_engine.reproduce.runner.reproduce", reproduce)
    return requests


def reproduce(*arguments: str, ui: str | None = "plain") -> int:
    return cli.run(["reproduce", *arguments, *(["--ui", ui] if ui else [])])


def test_the_options_reach_the_reproduction(root: Path, asked: list[ReproductionRequest]) -> None:
    options = ["--scale", "tiny", "--space", "released-code", "--seeds", "2", "--data", "shapes", "--compute", "equal"]
    options += ["--set", "runtime.threads=1", "--set", "runtime.precision=bf16", "--row", "natural"]
    assert reproduce("table2", *options) == 0
    [request] = asked
    assert (request.table, request.scale, request.space) == ("table2", "tiny", "released-code")
    assert (request.seeds, request.data, request.root) == (2, "shapes", root)
    assert request.rows == ("natural",)
    assert (request.compute, request.settings) == ("equal", ("runtime.threads=1", "runtime.precision=bf16"))


def test_the_default_is_the_paper_s_own_scale_in_pixel_space_with_one_seed(asked: list[ReproductionRequest]) -> None:
    assert reproduce("table1") == 0
    assert (asked[0].scale, asked[0].space, asked[0].seeds, asked[0].data) == ("paper", "pixel", 1, None)


def test_lines_tell_when_a_row_ends_and_the_table_lists_paper_ours_and_difference(capsys: Shown) -> None:
    assert reproduce("table4") == 0
    shown = capsys.readouterr()
    assert "trains" in shown.err
    line = "natural 90.0% (paper 92.4%), PGD-10 at 8/255 50.0% (paper 60.4%), PGD-10 at 16/255 25.0% (paper 48.3%)"
    assert f"[1/2] Natural: finished: {line}, audit warns" in shown.err
    lines = [line.split() for line in shown.out.splitlines()]
    assert ["Natural", "paper", "92.4%", "60.4%", "48.3%"] in lines
    assert ["ours", "90.0%", "50.0%", "25.0%"] in lines
    assert ["Natural", "finished", "–", "318", "–", "warns", "20260101-claf"] in lines
    assert ["diff", "-2.4", "-10.4", "-23.3"] in lines


def test_a_figure_that_the_best_is_ahead_of_by_noise_is_marked(tmp_path: Path, capsys: Shown) -> None:
    near = dataclasses.replace(DONE, label="Adversarial", natural=0.89, near_best=(True, False, False))
    output.show(*result_tables(table((DONE, near), tmp_path)))
    shown = capsys.readouterr().out
    assert "≈89.0%" in shown
    assert "ahead by no more than noise" in shown
    output.show(*result_tables(table((DONE, DONE), tmp_path)))
    assert "≈" not in capsys.readouterr().out


def test_a_column_that_the_paper_does_not_have_is_told_without_it(tmp_path: Path) -> None:
    wider = dataclasses.replace(DONE, robust=(*DONE.robust, 0.2), paper_robust=(*DONE.paper_robust, None))
    assert row_line(wider, (*table((), tmp_path).columns, "AutoAttack at 8/255")).endswith(
        "PGD-10 at 16/255 25.0% (paper 48.3%), AutoAttack at 8/255 20.0%, audit warns"
    )


def test_a_row_that_failed_is_told_and_the_exit_code_says_so(capsys: Shown) -> None:
    assert reproduce("table4", "--seeds", "3") == exit_codes.ROW_FAILED == 7
    shown = capsys.readouterr()
    assert "[2/2] Adversarial: failed: training diverged" in shown.err
    assert "training diverged" in shown.out


def test_figures_of_no_epsilon_ball_are_labelled_and_say_how_far_images_were_moved(capsys: Shown) -> None:
    assert reproduce("table4", "--space", "released-code") == 0
    shown = capsys.readouterr().out
    assert "not accuracy in an epsilon-ball" in shown
    assert ["Adversarial", "reused", "114/255"] in [line.split()[:3] for line in shown.splitlines()]


def test_json_is_the_record_of_the_table_with_its_folder_and_nothing_else(root: Path, capsys: Shown) -> None:
    assert reproduce("table4", "--json", ui=None) == 0
    folder = str(root / "reproductions" / "table4-paper-pixel")
    assert json.loads(capsys.readouterr().out) == {"rows": [{"method": "claf"}], "directory": folder}


def test_json_lines_are_the_events(capsys: Shown) -> None:
    assert reproduce("table4", ui="jsonl") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["type"] for record in records] == ["ReproductionChanged", "Notice", "ReproductionChanged"]


@pytest.mark.parametrize("ui", ["tui", "jsonl"])
def test_json_and_another_kind_of_output_are_refused(root: Path, capsys: Shown, ui: str) -> None:
    assert reproduce("table4", "--json", ui=ui) == 2
    assert f"cannot be combined with --ui {ui}" in capsys.readouterr().err
    assert not root.exists()


def test_the_console_without_a_terminal_is_refused_and_nothing_is_written(root: Path, capsys: Shown) -> None:
    assert reproduce("table4", ui="tui") == 2
    assert "--ui tui needs a terminal" in capsys.readouterr().err
    assert not root.exists()


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> list[ConsoleResult]:
    """A console that plays the reproduction to its end and leaves as it is told."""
    results: list[ConsoleResult] = []

    def run_console(_app_class: object, engine: Engine, control: Control, *, log_path: Path) -> ConsoleResult:
        assert log_path.parent.is_dir()
        list(engine(control))
        return results.pop()

    monkeypatch.setattr("claf_tui.runners.reproduce.choose_ui", lambda _: "tui")
    monkeypatch.setattr("claf_tui.console.launch.run_console", run_console)
    return results


def test_rows_that_failed_in_the_console_are_told_with_the_table(console: list[ConsoleResult], capsys: Shown) -> None:
    console.append(ConsoleResult(exit_codes.ROW_FAILED, reason="1 of 2 rows failed: Adversarial: training diverged"))
    assert reproduce("table4", "--seeds", "3", ui=None) == 7
    shown = capsys.readouterr()
    assert "error: 1 of 2 rows failed" in shown.err
    assert "diff" in shown.out


def test_a_crash_in_the_console_stays_a_crash_though_rows_have_failed(
    console: list[ConsoleResult], capsys: Shown
) -> None:
    console.append(ConsoleResult(exit_codes.UNEXPECTED, reason="ZeroDivisionError: oh"))
    assert reproduce("table4", "--seeds", "3", ui=None) == exit_codes.UNEXPECTED
    shown = capsys.readouterr()
    assert "error: ZeroDivisionError: oh (more in" in shown.err
    assert shown.out == ""


def test_leaving_the_console_by_a_signal_stays_its_code(console: list[ConsoleResult]) -> None:
    console.append(ConsoleResult(130))
    assert reproduce("table4", "--seeds", "3", ui=None) == 130


@pytest.mark.parametrize("ui", ["plain", "jsonl"])
def test_a_crash_in_lines_ends_as_unexpected_and_leaves_a_traceback_beside_the_table(
    root: Path, capsys: Shown, ui: str
) -> None:
    assert reproduce("table4", "--seeds", "3", "--data", "folder:crash", ui=ui) == exit_codes.UNEXPECTED
    [log_path] = (root / "reproductions").glob("*/console.log")
    assert f"error: unexpected ZeroDivisionError: oh (traceback in {log_path})" in capsys.readouterr().err
    assert "ZeroDivisionError: oh" in log_path.read_text()


@pytest.mark.parametrize("arguments", [["table7"], ["table1", "--scale", "huge"], ["table1", "--seeds", "0"], []])
def test_a_wrong_request_is_a_sentence_and_exit_code_2(root: Path, capsys: Shown, arguments: list[str]) -> None:
    assert reproduce(*arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not root.exists()


def test_a_source_that_does_not_exist_is_refused_before_anything_is_written(
    root: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_tui.runners.reproduce.choose_ui", lambda _: "tui")
    assert reproduce("table1", "--data", "mnist", ui=None) == 2
    assert "unknown data source 'mnist'" in capsys.readouterr().err
    assert not root.exists()


def test_a_runs_folder_that_cannot_be_written_is_named(
    root: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_tui.runners.reproduce.choose_ui", lambda _: "tui")
    root.write_text("a file")
    assert reproduce("table1", ui=None) == 3
    assert "set CLAF_RUNS_DIR to another folder" in capsys.readouterr().err


def test_a_table_in_use_is_a_sentence_and_exit_code_3(capsys: Shown) -> None:
    assert reproduce("table4", "--data", "folder:locked") == 3
    assert capsys.readouterr().err == "error: another process fills it\n"


FORECAST = [
    Forecast(0, "Natural", 0, "new", "tiny-natural-seed0", 75.0, 30.0, 120_000.0),
    Forecast(1, "CLAF", 0, "resume", "20260101-120000-claf", 3600.0, 221.6, 886_400.0),
]


def test_a_dry_run_lists_the_runs_with_their_times_and_writes_nothing(
    root: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch, asked: list[ReproductionRequest]
) -> None:
    monkeypatch.setattr("claf_engine.reproduce.forecast.forecast", lambda _: FORECAST)
    assert reproduce("table1", "--dry-run") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["Natural", "0", "new", "tiny-natural-seed0", "30", "1:15"] in lines
    assert ["CLAF", "0", "resume", "20260101-120000-claf", "221.6", "1:00:00"] in lines
    assert ["in", "all", "1:01:15"] in lines
    assert not root.exists()
    assert asked == []


@pytest.mark.parametrize(("waited", "is_told"), [(0.4, True), (0.02, False), (None, False)])
def test_a_dry_run_says_when_its_times_were_taken_under_load(
    capsys: Shown, monkeypatch: pytest.MonkeyPatch, waited: float | None, is_told: bool
) -> None:
    monkeypatch.setattr("claf_engine.reproduce.forecast.forecast", lambda _: FORECAST)
    monkeypatch.setattr("claf_tui.runners.reproduce.share_waited", lambda *_: waited)
    assert reproduce("table1", "--dry-run") == 0
    told = "taken under load (busy machine: 40% of the time without a core), and are too long for an idle machine"
    assert (told in " ".join(capsys.readouterr().err.split())) is is_told
    assert reproduce("table1", "--dry-run", "--json", ui=None) == 0
    assert json.loads(capsys.readouterr().out)["waited"] == waited


def test_a_dry_run_as_json(capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_engine.reproduce.forecast.forecast", lambda _: FORECAST)
    assert reproduce("table1", "--dry-run", "--json", ui=None) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["seconds"] == 3675.0
    assert shown["runs"][0] == {
        "label": "Natural",
        "seed": 0,
        "action": "new",
        "run": "tiny-natural-seed0",
        "seconds": 75.0,
        "units_per_image": 30.0,
        "units": 120_000,
    }
