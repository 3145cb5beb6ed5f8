import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from claf_engine import events as ev
from claf_engine.runs import RunSummary
from claf_engine.runs.header import CheckpointInfo
from claf_tui.reports import runs as reports
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted import Script, robust_figure

NO_BALL = {"space": "released-code", "largest_distance": 0.4510, "mean_distance": 0.3843}
SENTENCE = (
    "(no ball): not accuracy in an epsilon-ball; released-code space clamps images and moved them up to 115/255, "
    "98/255 on average"
)


def text_of(*renderables: object, width: int = 200) -> str:
    shown = Console(file=io.StringIO(), width=width, markup=False)
    for renderable in renderables:
        shown.print(renderable)
    assert isinstance(shown.file, io.StringIO)
    return shown.file.getvalue()


def finished(**labels: Any) -> ev.RunFinished:
    """A run that ended; every figure carries the labels."""
    ended = Script(Path("/runs/20260101-000000-demo"))._finished()
    results = [
        replace(item, robust=tuple(replace(figure, **labels) for figure in item.robust)) for item in ended.results
    ]
    return replace(ended, results=tuple(results))


def run(name: str = "20260101-000000-demo", status: str = "finished", **record: Any) -> RunSummary:
    return RunSummary(name, Path("/runs") / name, status, record)


def result(accuracy: float = 0.61, **labels: Any) -> dict[str, Any]:
    """A selected test result as a status file holds it."""
    figure = {"epsilon": "8/255", "accuracy": accuracy, **labels}
    return {"natural": 0.93, "robust": [figure], "selected": True}


def unwrapped(*shown: object) -> str:
    """The text of a report without the breaks of its lines."""
    return " ".join(text_of(*shown).split())


def test_the_next_command_names_the_folder_of_a_run_that_lies_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "other place" / "20260101-000000-demo"
    directory.mkdir(parents=True)
    monkeypatch.setenv("CLAF_RUNS_DIR", str(tmp_path))
    assert f"next: claf-tui eval '{directory}' --eps 16/255" in unwrapped(*reports.run_report(finished(), directory))
    monkeypatch.setenv("CLAF_RUNS_DIR", str(directory.parent))
    assert "next: claf-tui eval 20260101-000000-demo --eps" in unwrapped(*reports.run_report(finished(), directory))


def test_the_report_of_a_run_says_which_figures_cannot_be_right() -> None:
    notice = "from 8/255 on the attack may be too weak"
    assert f"! {notice}" in text_of(*reports.run_report(finished(notice=notice), Path("/runs/demo")))
    assert "!" not in text_of(*reports.run_report(finished(), Path("/runs/demo")))


def test_the_selected_result_is_starred_and_says_what_selected_it() -> None:
    shown = text_of(*reports.run_report(finished(), Path("/runs/20260101-000000-demo")))
    starred = next(line for line in shown.splitlines() if line.startswith(f" {reports.STAR}"))
    assert starred.split()[1:5] == ["best", "natural", "93.1%", "63.1%"]
    assert "★ chosen by validation robust accuracy at 8/255; all figures are of test images" in shown
    assert "pgd-10 at 8/255" in shown


def test_results_with_different_attacks_leave_gaps() -> None:
    first = ev.TestResult("best", "natural", 0.9, (robust_figure("8/255", 0.5),), selected=True)
    second = ev.TestResult("last", "natural", 0.8, (robust_figure("16/255", 0.4),), selected=False)
    shown = text_of(reports.results_table([first, second]))
    assert shown.count("–") == 2


def test_foreign_text_in_a_report_is_cleaned() -> None:
    result = ev.TestResult(EVERYTHING, EVERYTHING, 0.9, (), selected=True)
    ended = ev.RunFinished("finished", 1, 1.0, (result,), selected_on=EVERYTHING)
    shown = text_of(*reports.run_report(ended, Path(EVERYTHING.replace("/", ""))))
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_figures_of_pixel_space_need_no_warning() -> None:
    assert "ball" not in text_of(*reports.run_report(finished(), Path("/runs/demo")))


def test_a_run_whose_figures_are_of_no_ball_says_so_in_the_heading_and_in_a_sentence() -> None:
    shown = text_of(*reports.run_report(finished(**NO_BALL), Path("/runs/demo")))
    assert "pgd-10 at 8/255 (no ball)" in shown
    assert SENTENCE in shown


def test_a_norm_other_than_linf_is_in_the_heading() -> None:
    assert "pgd-10 at L2 8/255" in text_of(reports.results_table(finished(norm="l2").results))


def test_the_list_of_runs_marks_figures_of_no_ball_and_explains_the_mark() -> None:
    shown = text_of(reports.runs_table([run(results=[result(space="released-code")]), run("1-b")]))
    assert "61.0% at 8/255 (no ball)" in shown
    assert "(no ball) marks what is not accuracy in an epsilon-ball" in shown


def test_the_list_of_runs_marks_the_latest_probe_of_a_live_run_too() -> None:
    probe = {"natural": 0.8, "robust": [{"epsilon": "8/255", "accuracy": 0.4, "space": "released-code"}]}
    assert "40.0% at 8/255 (no ball)" in text_of(reports.runs_table([run(status="running", probe=probe)]))


def test_the_list_of_runs_explains_no_mark_that_is_not_there() -> None:
    assert "no ball" not in text_of(reports.runs_table([run(results=[result(space="pixel")])]))


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_the_list_of_runs_keeps_whole_words_and_what_the_figures_are_of_at_any_width(width: int) -> None:
    probe = {"natural": 0.8, "robust": [{"epsilon": "8/255", "accuracy": 0.4}]}
    runs = [
        run(method="claf", data="cifar10", phase_title="3 · linear evaluation", epoch=3, results=[result()]),
        run("20260101-000000-table1-trades", "interrupted", method="trades", data="cifar10", epoch=3, probe=probe),
    ]
    shown = text_of(reports.runs_table(runs), width=width)
    words = ("natural", "measured on", "test", "validation", "93.0%", "61.0% at 8/255", "80.0%", "40.0% at 8/255")
    assert all(word in shown for word in words)
    assert max(map(len, shown.splitlines())) <= width
    assert ("a wider terminal also shows" in shown) == (width < 140)


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("label", ["shrunk", "table1-adversarial-training-seed-12", "x" * 70])
def test_names_are_broken_at_hyphens_only(width: int, label: str) -> None:
    name = f"20261128-095155-{label}"
    shown = text_of(reports.runs_table([run(name, results=[result()])]), width=width)
    first = "".join(line[1:].split("  ")[0].strip() for line in shown.splitlines()[3:-1] if line.strip())
    assert first.startswith(name)
    for line in shown.splitlines()[3:]:
        part = line[1:].split("  ")[0].strip()
        assert part not in name or name.endswith(part) or part.endswith("-")


def test_every_run_says_how_long_ago_it_was_begun() -> None:
    begun = [replace(run("1-a"), begun=1_000_000.0), run("2-b")]
    first, second = text_of(reports.runs_table(begun, now=1_007_300.0)).splitlines()[-3:-1]
    assert "2 h ago" in first
    assert "ago" not in second


def test_a_long_text_that_another_wrote_does_not_push_other_columns_out() -> None:
    shown = text_of(reports.runs_table([run(data="folder:/" + "x" * 300, method="y" * 300)]))
    assert "20260101-000000-demo" in shown
    assert "x" * 30 not in shown


def test_runs_as_json_say_of_every_figure_whether_it_is_of_a_ball() -> None:
    probe = {"natural": 0.8, "robust": [{"epsilon": "8/255", "accuracy": 0.4, "space": "released-code"}]}
    (record,) = reports.run_records([run(results=[result(space="pixel")], probe=probe)])
    assert record["results"][0]["robust"][0]["is_epsilon_ball"] is True
    assert record["probe"]["robust"][0]["is_epsilon_ball"] is False


def test_runs_as_json_are_otherwise_what_the_status_says() -> None:
    status = {"results": [result()], "probe": None, "attack": {"epsilon": "8/255", "space": "pixel"}, "step": 3}
    (record,) = reports.run_records([run(**status)])
    assert record == {**status, "name": "20260101-000000-demo", "directory": "/runs/20260101-000000-demo"} | {
        "status": "finished",
        "audit": "unaudited",
    }


@pytest.mark.parametrize("standing", ["evaluated", "audit passes", "audit warns", "audit fails"])
def test_the_list_of_runs_says_what_each_figure_rests_on(standing: str) -> None:
    runs = [run("1-a", results=[result()]), run("2-b", results=[result()])]
    first, second = text_of(reports.runs_table(runs, {"2-b": standing})).splitlines()[-3:-1]
    assert "test, unaudited" in first
    assert f"test, {standing}" in second
    assert [item["audit"] for item in reports.run_records(runs, {"2-b": standing})] == ["unaudited", standing]


def test_a_run_without_figures_has_nothing_to_audit() -> None:
    assert "unaudited" not in text_of(reports.runs_table([run()]))


def test_figures_of_an_ended_run_are_unaudited_and_the_way_to_audit_can_be_pasted() -> None:
    shown = text_of(*reports.run_report(finished(), Path("/runs/my run")))
    assert "unaudited: claf-tui audit 'my run' asks whether they can be believed" in shown
    assert "unaudited" not in text_of(*reports.run_report(None, Path("/runs/my run")))


def checkpoint(config: object) -> CheckpointInfo:
    metrics = {"validation_robust": 0.5}
    return CheckpointInfo(Path("/c"), "r", 1, "phase", 1, metrics, "natural", "ab", 9, (), {"claf.config": config})


def test_a_checkpoint_measured_in_no_ball_says_so() -> None:
    info = checkpoint({"probe": {"space": "released-code"}})
    assert "released-code space (no ball)" in text_of(*reports.checkpoint_tables(info, ()))
    assert reports.checkpoint_record(info, ())["metrics_space"] == "released-code"


@pytest.mark.parametrize("config", [None, 3, {}, {"probe": None}, {"probe": {}}, {"probe": {"space": "pixel"}}])
def test_a_checkpoint_measured_in_pixel_space_needs_no_warning(config: object) -> None:
    info = checkpoint(config)
    assert "measured in" not in text_of(*reports.checkpoint_tables(info, ()))
    assert reports.checkpoint_record(info, ())["metrics_space"] == "pixel"
