import gc
import json
from pathlib import Path

import pytest

from claf_tui import cli
from claf_tui.commands import options
from tests.tui.hostile import EVERYTHING

Shown = pytest.CaptureFixture[str]

RESULT = {
    "natural": 0.93,
    "robust": [{"epsilon": "8/255", "accuracy": 0.61}],
    "selected": True,
}


def run_folder(root: Path, name: str, **status: object) -> None:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("")
    (folder / "status.json").write_text(json.dumps(status))


def test_without_runs_it_says_how_to_start_one_and_prints_no_data(root: Path, capsys: Shown) -> None:
    assert cli.run(["runs"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"there are no runs in {root} yet; `claf-tui train` starts one\n"


def test_a_finished_run_shows_its_selected_test_result(root: Path, capsys: Shown) -> None:
    other = {**RESULT, "natural": 0.5, "selected": False}
    run_folder(root, "1-a", status="finished", method="claf", data="shapes", results=[other, RESULT])
    assert cli.run(["runs"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "1-a" in line)
    assert line.split() == [
        "1-a",
        "finished",
        "just",
        "now",
        "claf",
        "shapes",
        "93.0%",
        "61.0%",
        "at",
        "8/255",
        "test,",
        "unaudited",
    ]


def test_a_run_on_its_way_shows_phase_epoch_and_validation_figures(root: Path, capsys: Shown) -> None:
    probe = {"natural": 0.8, "robust": [{"epsilon": "8/255", "accuracy": 0.4}]}
    run_folder(root, "1-a", status="running", phase_title="2 · adversarial", epoch=3, probe=probe)
    assert cli.run(["runs"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "1-a" in line)
    assert line.split() == [
        "1-a",
        "interrupted",
        "just",
        "now",
        "2",
        "·",
        "adversarial",
        "3",
        "80.0%",
        "40.0%",
        "at",
        "8/255",
        "validation,",
        "unaudited",
    ]


def test_json_is_a_list_with_all_that_the_status_says(root: Path, capsys: Shown) -> None:
    run_folder(root, "1-a", status="stopped", step=12)
    run_folder(root, "2-b")
    assert cli.run(["runs", "--json"]) == 0
    newest, older = json.loads(capsys.readouterr().out)
    assert older == {"name": "1-a", "directory": str(root / "1-a"), "status": "stopped", "step": 12} | {
        "audit": "unaudited"
    }
    assert newest["status"] == "interrupted"


def test_json_of_no_runs_is_an_empty_list(capsys: Shown) -> None:
    assert cli.run(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("value", [EVERYTHING, 3, None, [1], {"a": 1}])
def test_a_foreign_status_neither_breaks_the_table_nor_reaches_the_terminal_raw(
    root: Path, capsys: Shown, value: object
) -> None:
    keys = ("status", "method", "data", "phase_title", "epoch", "results", "validation", "probe")
    run_folder(root, "1-a", **dict.fromkeys(keys, value))
    run_folder(root, "2-b", status="stopped", results=[{"selected": True, "natural": value, "robust": value}])
    run_folder(root, "3-c", status="stopped", validation={"a": {"natural": value, "robust": value}})
    assert cli.run(["runs"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("1-a", "2-b", "3-c"))
    assert not any(character in shown for character in "\x1b\x9b\x07\u202e\u200b")


def test_only_the_newest_runs_are_listed_when_that_is_asked_for(root: Path, capsys: Shown) -> None:
    for number in range(5):
        run_folder(root, f"2026010{number + 1}-000000-r{number}", status="finished")
    assert cli.run(["runs", "--last", "2", "--json"]) == 0
    assert [run["name"][-2:] for run in json.loads(capsys.readouterr().out)] == ["r4", "r3"]
    assert cli.run(["runs", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 5


def test_the_names_of_runs_are_completed_newest_first(root: Path) -> None:
    for number in range(3):
        run_folder(root, f"2026010{number + 1}-000000-r{number}", status="running")
    assert options.complete_runs("") == ["latest", *(f"2026010{number}-000000-r{number - 1}" for number in (3, 2, 1))]
    assert options.complete_runs("20260102") == ["20260102-000000-r1"]


@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_garbage_collector_rests_while_runs_are_listed_and_is_as_before_afterwards(
    root: Path, monkeypatch: pytest.MonkeyPatch, is_enabled: bool
) -> None:
    seen = []
    monkeypatch.setattr("claf_engine.runs.list_runs", lambda *_: seen.append(gc.isenabled()) or [])
    was_enabled = gc.isenabled()
    try:
        (gc.enable if is_enabled else gc.disable)()
        assert cli.run(["runs"]) == 0
        assert (seen, gc.isenabled()) == ([False], is_enabled)
    finally:
        (gc.enable if was_enabled else gc.disable)()
