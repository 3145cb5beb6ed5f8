import json
from pathlib import Path

import pytest

from claf_tui import cli
from tests.tui.compared import compared_folder

Shown = pytest.CaptureFixture[str]


@pytest.fixture
def runs(root: Path) -> list[Path]:
    return [compared_folder(root, f"20261124-080000-{name}", method=name) for name in ("claf", "at")]


def test_tables_are_printed(runs: list[Path], capsys: Shown) -> None:
    assert cli.run(["compare", "claf", "at"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    titles = ("Final figures", "Runs", "Differences", "Settings that differ", "Robustness cards")
    assert all(title in shown.out for title in titles)
    assert "A − B" in shown.out


def test_json_and_markdown_are_printed(runs: list[Path], capsys: Shown) -> None:
    assert cli.run(["compare", str(runs[0]), "at", "--json", "--curves"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["runs"][1]["units_per_image"] > 0
    assert cli.run(["compare", "claf", "at", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("## Final figures\n")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["claf"], 2, "at least two runs"),
        (["claf", "claf"], 2, "named twice"),
        (["claf", "at", "--json", "--markdown"], 2, "choose one of"),
        (["claf", "at", "--curves"], 2, "--curves goes with --json"),
        (["claf", "gone"], 3, "no run 'gone'"),
        (["claf", "at", "--ui", "tui"], 2, "needs a terminal"),
    ],
)
def test_mistakes_are_one_sentence(runs: list[Path], capsys: Shown, arguments: list[str], code: int, told: str) -> None:
    assert cli.run(["compare", *arguments]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert told in shown.err


def test_a_journal_that_cannot_be_read_is_one_sentence(runs: list[Path], capsys: Shown) -> None:
    (runs[0] / "metrics.jsonl").unlink()
    (runs[0] / "metrics.jsonl").mkdir()
    assert cli.run(["compare", "claf", "at"]) == 3
    assert "metrics.jsonl" in capsys.readouterr().err


def test_lines_that_tell_nothing_are_said(runs: list[Path], capsys: Shown) -> None:
    with (runs[0] / "metrics.jsonl").open("a") as file:
        file.write("x\n")
    assert cli.run(["compare", "claf", "at"]) == 0
    assert "passed over 1 line that tells nothing in the journal" in capsys.readouterr().out
