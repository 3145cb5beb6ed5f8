from dataclasses import replace

import pytest

from claf_tui.widgets.paper_bars import bar_lines, bar_with_tick, bars_height, drawn_columns
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted_reproduction import table, waiting_rows


@pytest.mark.parametrize("ours", [None, 0.0, 0.001, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("paper", [None, 0.0, 0.5, 1.0])
def test_a_bar_has_exactly_its_width(ours: float | None, paper: float | None) -> None:
    assert bar_with_tick(ours, paper, 30, "#56b4e9").cell_length == 30


def test_a_bar_is_as_long_as_its_figure_to_an_eighth_of_a_cell() -> None:
    assert bar_with_tick(0.5, None, 20, "red").plain == "█" * 10 + " " * 10
    assert bar_with_tick(0.5 + 3 / 160, None, 20, "red").plain == "█" * 10 + "▍" + " " * 9


def test_the_paper_is_a_tick_at_its_place_on_the_bar_or_beyond_it() -> None:
    assert bar_with_tick(0.5, 0.75, 20, "red").plain.index("│") == 15
    assert bar_with_tick(1.0, 0.75, 20, "red").plain.index("│") == 15
    assert bar_with_tick(1.0, 1.0, 20, "red").plain.index("│") == 19


def test_a_figure_of_zero_can_be_told_from_a_missing_one() -> None:
    assert bar_with_tick(0.0, None, 10, "red").plain.strip() == "▏"
    assert bar_with_tick(None, None, 10, "red").plain.strip() == ""


@pytest.mark.parametrize("width", [10, 24, 40, 61, 120])
@pytest.mark.parametrize("height", [4, 12, 21, 30, 60])
def test_the_chart_stays_within_its_size(width: int, height: int) -> None:
    lines = bar_lines(table(waiting_rows()), width, height)
    assert len(lines) <= height
    assert all(line.cell_length <= width for line in lines)


def test_every_method_and_every_column_has_a_bar_where_there_is_just_enough_room() -> None:
    told = table(tuple(replace(row, natural=0.9, robust=(0.5, 0.3)) for row in waiting_rows()))
    text = "\n".join(line.plain for line in bar_lines(told, 78, bars_height(told)))
    assert all(row.label in text for row in told.rows)
    assert text.count("90.0") == text.count("50.0") == text.count("30.0") == 6
    assert "100%" in text


def test_foreign_text_is_cleaned() -> None:
    rows = tuple(replace(row, label=EVERYTHING) for row in waiting_rows())
    lines = bar_lines(table(rows, columns=(EVERYTHING, EVERYTHING)), 100, 40)
    assert all(line.plain.isprintable() for line in lines)


def test_columns_of_ours_beside_the_paper_s_are_not_drawn() -> None:
    told = table(waiting_rows())
    rows = tuple(replace(row, robust=(*row.robust, 0.5), paper_robust=(*row.paper_robust, None)) for row in told.rows)
    wider = replace(told, columns=(*told.columns, "AutoAttack at 8/255"), rows=rows)
    assert drawn_columns(wider) == told.columns
    assert bars_height(wider) == bars_height(told)
