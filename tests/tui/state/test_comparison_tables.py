from dataclasses import replace
from pathlib import Path

import pytest

from claf_tui.state.comparison import compare
from claf_tui.state.comparison_tables import (
    cards_table,
    comparison_tables,
    cost_table,
    diagnostics_table,
    differences_table,
    figures_table,
    settings_table,
    value_text,
)
from tests.tui.compared import compared_folder, figure, read_folder, result
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted_audit import card


def texts(table: object, row: int = 0) -> list[str]:
    return [cell.text for cell in table.rows[row]]  # type: ignore[attr-defined]


def test_figures_stand_with_their_intervals_and_a_mark_where_they_cannot_be_right(tmp_path: Path) -> None:
    doubted = result([figure(0.6), figure(0.4, "16/255", notice="it does not cross")])
    runs = [read_folder(key, compared_folder(tmp_path, key, results=[doubted])) for key in "AB"]
    table = figures_table(compare(runs))
    assert texts(table)[3:6] == ["90.0% [88.0, 91.7]", "60.0% [56.9, 63.0]", "40.0% [37.0, 43.1] !"]
    assert "! it does not cross" in table.notes
    assert "attacked with pgd-10, steps of 2/255, fp32" in table.notes


def test_attacks_that_differ_are_named(tmp_path: Path) -> None:
    runs = [
        read_folder(key, compared_folder(tmp_path, key, results=[result([figure(0.6, steps=steps)])]))
        for key, steps in (("A", 10), ("B", 40))
    ]
    told = "8/255: not the same attack: pgd-10, steps of 2/255, fp32; pgd-40, steps of 2/255, fp32"
    assert told in figures_table(compare(runs)).notes


def test_cost_tells_steps_epochs_time_and_units(tmp_path: Path) -> None:
    runs = [read_folder(key, compared_folder(tmp_path, key, method="at"), (23.0,)) for key in "AB"]
    row = dict(zip(cost_table(compare(runs)).headings, texts(cost_table(compare(runs))), strict=True))
    assert (row["steps"], row["epochs"], row["time"], row["units"]) == ("20", "4", "0:20", "92")


def test_of_more_than_four_runs_each_is_compared_with_the_first_and_json_is_named(tmp_path: Path) -> None:
    runs = [read_folder(key, compared_folder(tmp_path, key)) for key in "ABCDE"]
    table = differences_table(compare(runs))
    assert {texts(table, row)[0][0] for row in range(len(table.rows))} == {"A"}
    assert "each with A; --json has every pair" in table.notes


def test_diagnostics_of_audited_runs_stand_side_by_side(tmp_path: Path) -> None:
    runs = [read_folder(key, compared_folder(tmp_path, key)) for key in "AB"]
    audited = replace(runs[0], card=card(), standing="audit fails")
    comparison = compare([audited, runs[1]])
    assert texts(cards_table(comparison))[2:6] == ["audit fails", "quick", "93.1% [86.2, 96.8]", "27.3% [19.4, 36.7]"]
    rows = {row[0].text: row[1].text for row in diagnostics_table(comparison).rows}
    assert rows["An attack without gradients finds nothing more"] == "✘"


def test_a_card_of_somebody_else_breaks_no_table(tmp_path: Path) -> None:
    run = read_folder("A", compared_folder(tmp_path, "A"))
    strange = {"worst_case": {"accuracy": "x", "interval": 3}, "diagnostics": [3, {"name": []}], "budget": EVERYTHING}
    comparison = compare([replace(run, card=strange), replace(run, key="B")])
    assert all(cell.text.isprintable() for table in comparison_tables(comparison) for row in table.rows for cell in row)


def test_runs_of_the_same_settings_say_so(tmp_path: Path) -> None:
    runs = [read_folder(key, compared_folder(tmp_path, key)) for key in "AB"]
    assert settings_table(compare(runs)).empty == "no setting differs"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (True, "true"), ([1, 2.5], "[1, 2.5]"), ("a\x1bb", "a\ufffdb"), (1e-4, "0.0001")]
)
def test_a_setting_is_written_as_a_person_reads_it(value: object, text: str) -> None:
    assert value_text(value) == text
