from pathlib import Path

import pytest

from claf_tui import cli
from tests.tui.compared import compared_folder

Shown = pytest.CaptureFixture[str]


def test_a_report_is_written_where_it_is_asked_for_and_not_over_another(
    root: Path, tmp_path: Path, capsys: Shown
) -> None:
    compared_folder(root, "1-a", method="at")
    target = tmp_path / "report.html"
    assert cli.run(["report", "1-a"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("wrote report.html (")
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert cli.run(["report", "1-a"]) == 3
    assert cli.run(["report", "1-a", "--force"]) == 0


def test_runs_are_compared_in_it(root: Path, tmp_path: Path) -> None:
    for name in ("1-a", "2-b", "3-c"):
        compared_folder(root, name, method="at")
    assert cli.run(["report", "1-a", "--compare", "2-b", "--compare", "3-c", "-o", str(tmp_path / "r.html")]) == 0
    assert "Compared with 2 other runs" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_run_compared_with_itself_is_one_sentence(root: Path, capsys: Shown) -> None:
    compared_folder(root, "1-a", method="at")
    assert cli.run(["report", "1-a", "--compare", "1-a"]) == 2
    assert "named twice" in capsys.readouterr().err
