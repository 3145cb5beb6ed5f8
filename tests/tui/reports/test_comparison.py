import json
from pathlib import Path

import pytest
from rich.console import Console

from claf_tui.reports.comparison import comparison_markdown, comparison_record, comparison_report
from claf_tui.state.comparison import Comparison, compare
from tests.tui.compared import compared_folder, figure, read_folder, result, with_best


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    folders = [
        compared_folder(tmp_path, f"20261124-08000{number}-{method}", method=method, results=[result([figure(share)])])
        for number, (method, share) in enumerate((("claf", 0.6), ("at", 0.5), ("trades", 0.55)))
    ]
    return compare([read_folder(key, folder) for key, folder in zip("ABC", folders, strict=True)])


def printed(comparison: Comparison, width: int) -> str:
    console = Console(width=width, force_terminal=False, color_system=None)
    with console.capture() as capture:
        for part in comparison_report(comparison):
            console.print(part)
    return capture.get()


@pytest.mark.parametrize("width", [80, 140, 200])
def test_no_line_is_wider_than_the_terminal_and_figures_stay_whole(comparison: Comparison, width: int) -> None:
    text = printed(comparison, width)
    assert max(map(len, text.splitlines())) <= width
    assert "60.0% [56.9, 63.0]" in text


def test_a_long_best_checkpoint_folds_and_cuts_no_other_column(tmp_path: Path) -> None:
    folders = [with_best(compared_folder(tmp_path, f"20261124-080000-quite-a-long-name-{key}")) for key in "ab"]
    text = printed(compare([read_folder(key, folder) for key, folder in zip("AB", folders, strict=True)]), 60)
    assert "1:20" in text
    assert max(map(len, text.splitlines())) <= 60


def test_markdown_holds_every_table(comparison: Comparison) -> None:
    text = comparison_markdown(comparison)
    assert text.count("\n## ") + text.startswith("## ") == 6
    assert "| A | claf | finished | 90.0% [88.0, 91.7] | 60.0% [56.9, 63.0] |" in text
    assert "| method | claf | at | trades |" in text


def test_a_pipe_in_a_name_breaks_no_row_of_markdown(tmp_path: Path) -> None:
    runs = [read_folder(key, compared_folder(tmp_path, f"a|b{key}")) for key in "AB"]
    lines = comparison_markdown(compare(runs)).splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("|"))
    assert {line.count("|") for line in lines[head : head + 4]} == {lines[head].count("|")}


def test_json_tells_runs_settings_and_every_pair(comparison: Comparison) -> None:
    found = json.loads(json.dumps(comparison_record(comparison), allow_nan=False))
    assert [run["key"] for run in found["runs"]] == ["A", "B", "C"]
    assert found["runs"][0]["robust"]["8/255"]["interval"] == pytest.approx([0.5693, 0.6299], abs=1e-3)
    assert {"name": "method", "values": {"A": "claf", "B": "at", "C": "trades"}, "changes_training": True} in found[
        "settings"
    ]
    assert len(found["differences"]) == 6
    assert "curves" not in found["runs"][0]


def test_json_tells_curves_where_they_are_asked_for(comparison: Comparison) -> None:
    found = json.loads(json.dumps(comparison_record(comparison, has_curves=True), allow_nan=False))
    names = [curve["name"] for curve in found["runs"][1]["curves"]]
    assert "robust 8/255" in names
    assert set(found["runs"][1]["curves"][0]["points"][0]) == {
        *("step", "epoch", "clock", "units", "mean", "low", "high", "values")
    }
