import csv
import json
import math
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_tui import cli
from tests.tui.compared import compared_folder

Shown = pytest.CaptureFixture[str]


def test_csv_goes_to_stdout_and_nothing_to_stderr(root: Path, capsys: Shown) -> None:
    compared_folder(root, "1-a", method="at")
    assert cli.run(["export", "1-a"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    rows = list(csv.DictReader(shown.out.splitlines()))
    assert {row["name"] for row in rows} >= {"loss/cross_entropy", "probe/adversarial/natural"}


def test_json_goes_to_a_file_that_was_not_there(root: Path, tmp_path: Path, capsys: Shown) -> None:
    compared_folder(root, "1-a", method="at")
    target = tmp_path / "a.json"
    assert cli.run(["export", "1-a", "--json", "-o", str(target)]) == 0
    found = json.loads(target.read_text())
    assert capsys.readouterr().err == f"wrote {len(found)} rows to {target}\n"
    assert cli.run(["export", "1-a", "--json", "-o", str(target)]) == 3
    assert "--force" in capsys.readouterr().err


def test_values_that_are_not_finite_are_said(root: Path, capsys: Shown) -> None:
    compared_folder(root, "1-a", events=[ev.StepLogged(1, 0, 1, "encoder", "supcon", math.nan, 0.1, None, 1.0)])
    assert cli.run(["export", "1-a", "--csv"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "1 values are not finite and are written as nan\n"
    assert "loss/supcon,nan" in shown.out


def test_both_kinds_and_a_run_without_figures_are_one_sentence(root: Path, capsys: Shown) -> None:
    (compared_folder(root, "1-a", events=[]) / "metrics.jsonl").unlink()
    assert cli.run(["export", "1-a", "--csv", "--json"]) == 2
    assert cli.run(["export", "1-a"]) == 3
    assert "nothing to export" in capsys.readouterr().err
