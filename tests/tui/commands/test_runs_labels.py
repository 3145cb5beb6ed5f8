"""`claf-tui runs` with a filter and an order, and the commands that write about runs and delete them."""

import json
import re
from pathlib import Path

import pytest

from claf_engine.runs import RunDirectory
from claf_engine.runs.labels import Labels, read_labels
from claf_tui import cli
from claf_tui.words import exit_codes
from tests.engine.runs.listed import probed_run

Shown = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _runs(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAF_CACHE_DIR", str(tmp_path / "cache"))
    of = {"status": "stopped", "method": "claf", "data": "shapes"}
    latest = {"natural": 0.8, "robust": [{"epsilon": "8/255", "accuracy": 0.3}]}
    probed_run(root, "20270101-000000-old", 0.2, **of)
    probed_run(root, "20270102-000000-best", 0.5, 0.3, **of, probe=latest)
    probed_run(root, "20270103-000000-other", 0.4, **{**of, "method": "at"})


def listed(capsys: Shown, *arguments: str) -> list[str]:
    assert cli.run(["runs", "--json", *arguments]) == 0
    return [run["name"].split("-")[-1] for run in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["other", "best", "old"]),
        (["--filter", "method:claf robust>40"], ["best"]),
        (["--filter", "!best"], ["other", "old"]),
        (["--sort", "robust"], ["best", "other", "old"]),
        (["--sort", "-robust"], ["old", "other", "best"]),
        (["--sort", "name", "--last", "2"], ["best", "old"]),
    ],
)
def test_runs_are_filtered_and_sorted_as_in_a_console(capsys: Shown, arguments: list[str], expected: list[str]) -> None:
    assert listed(capsys, *arguments) == expected


def test_what_a_filter_looked_at_stands_in_the_table_and_in_json(capsys: Shown) -> None:
    assert cli.run(["runs", "--filter", "best"]) == 0
    assert re.search(r"50\.0% ±\d", capsys.readouterr().out)
    assert cli.run(["runs", "--filter", "best", "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert run["probe"]["robust"][0]["accuracy"] == 0.3
    told = run["listed"]
    assert (told["robust"]["accuracy"], told["best_step"], told["images"]) == (0.5, 100, "validation")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--filter", "colour:red"], "there is no 'colour': use method"),
        (["--sort", "colour"], "--sort: there is no column 'colour'; there are age, state"),
    ],
)
def test_a_wrong_filter_or_column_is_wrong_usage(capsys: Shown, arguments: list[str], sentence: str) -> None:
    assert cli.run(["runs", *arguments]) == exit_codes.USAGE
    assert sentence in capsys.readouterr().err


def test_a_filter_that_nothing_fits_says_so_and_prints_no_data(capsys: Shown) -> None:
    assert cli.run(["runs", "--filter", "robust>99"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "fits; `claf-tui runs` lists all" in shown.err


def test_a_note_is_written_printed_and_removed(root: Path, capsys: Shown) -> None:
    assert cli.run(["runs", "note", "best", "for the paper"]) == 0
    assert cli.run(["runs", "note", "best"]) == 0
    assert capsys.readouterr().out == "for the paper\n"
    assert cli.run(["runs", "note", "best", ""]) == 0
    assert read_labels(root / "20270102-000000-best")[0] == Labels()


def test_tags_are_added_taken_away_and_found_by_a_filter(capsys: Shown) -> None:
    assert cli.run(["runs", "tag", "best", "wide", "keep"]) == 0
    assert listed(capsys, "--filter", "tag:keep") == ["best"]
    assert cli.run(["runs", "tag", "best", "keep", "--remove"]) == 0
    assert cli.run(["runs", "tag", "best"]) == 0
    assert capsys.readouterr().out == "wide\n"
    assert cli.run(["runs", "tag", "best", "keep", "--remove"]) == exit_codes.USAGE
    assert "has no tag 'keep'; it has wide" in capsys.readouterr().err
    assert cli.run(["runs", "tag", "best", "two words"]) == exit_codes.USAGE


def test_a_run_that_is_put_away_is_listed_where_it_is_asked_for(capsys: Shown) -> None:
    assert cli.run(["runs", "archive", "best"]) == 0
    assert listed(capsys) == listed(capsys, "--last", "2") == ["other", "old"]
    assert listed(capsys, "--archived") == ["other", "best", "old"]
    assert listed(capsys, "--filter", "state:archived") == ["best"]
    assert listed(capsys, "--filter", "robust>0", "--archived") == ["other", "best", "old"]
    assert cli.run(["runs", "archive", "best", "--undo"]) == 0
    assert listed(capsys) == ["other", "best", "old"]


def test_a_run_is_deleted_only_when_that_is_meant(root: Path, capsys: Shown) -> None:
    assert cli.run(["runs", "delete", "best"]) == exit_codes.USAGE
    assert "add --yes" in capsys.readouterr().err
    assert (root / "20270102-000000-best").is_dir()
    assert cli.run(["runs", "delete", "best", "--yes"]) == 0
    assert listed(capsys) == ["other", "old"]


@pytest.mark.parametrize(("answer", "is_there"), [("y", False), ("n", True), ("", True)])
def test_in_a_terminal_it_asks_and_says_what_would_go(
    root: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch, answer: str, is_there: bool
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answer == "y")
    assert cli.run(["runs", "delete", "best"]) == 0
    assert "0 checkpoints: they cannot be brought back" in capsys.readouterr().err
    assert (root / "20270102-000000-best").is_dir() is is_there


def test_a_live_run_is_neither_put_away_nor_deleted(run: RunDirectory, capsys: Shown) -> None:
    run.write_status({"status": "running"})
    assert cli.run(["runs", "archive", run.path.name]) == exit_codes.FAILED_INPUT
    assert cli.run(["runs", "delete", run.path.name, "--yes"]) == exit_codes.FAILED_INPUT
    assert "is live" in capsys.readouterr().err
    assert run.path.is_dir()


def test_claf_tui_alone_opens_the_list_in_a_terminal(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.setattr("claf_tui.runners.ui_mode.choose_ui", lambda _: "tui")
    opened: list[Path] = []
    monkeypatch.setattr("claf_tui.runners.runs.browse_runs", lambda path: opened.append(path) or 0)
    assert cli.run([]) == 0
    assert opened == [root]
