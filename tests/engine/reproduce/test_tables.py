from fractions import Fraction
from pathlib import Path

import pytest

from claf_engine.reproduce.board import Board
from claf_engine.reproduce.markdown import as_markdown
from claf_engine.reproduce.plan import ReproductionRequest, configs_of, table_of
from claf_engine.reproduce.report import machine
from claf_engine.reproduce.rows import STEP_SIZE, Row, Table, columns_of, thorough_steps
from claf_engine.reproduce.tables import TABLES, TWO_RADII
from claf_engine.terms.names import SpaceName, TableName


def figures(name: TableName) -> dict[str, tuple[float | None, ...]]:
    return {row.label: (row.natural, *row.robust) for row in TABLES[name].rows}


def test_table_1_holds_the_paper_s_figures() -> None:
    assert figures("table1") == {
        "Natural": (0.955, 0.0, 0.0),
        "SCL": (0.926, 0.183, 0.091),
        "AT": (0.848, 0.447, 0.259),
        "TRADES": (0.837, 0.514, 0.343),
        "RoCL-AT": (0.802, 0.407, 0.228),
        "CLAF": (0.924, 0.604, 0.483),
    }


def test_the_ablations_hold_the_paper_s_figures() -> None:
    own = (0.924, 0.604, 0.483)
    assert figures("table2") == {"Natural": (0.923, 0.561, 0.475), "Adversarial": own}
    assert figures("table3") == {"CLAF": (None, 0.6012, 0.6005, 0.6003)}
    assert figures("table4") == {"Natural": own, "Adversarial": (0.819, 0.507, 0.365)}
    assert figures("table5") == {"Reinitialised": (0.922, 0.608, 0.495), "Continuous": own}
    assert figures("table6") == {"Reinitialised": own, "Continued classifier c": (0.924, 0.609, 0.483)}


def test_figure_1_has_the_rows_of_table_1() -> None:
    assert TABLES["figure1"].rows == TABLES["table1"].rows


def test_table_3_attacks_with_20_40_and_100_steps_at_one_radius() -> None:
    columns = TABLES["table3"].columns
    assert [(column.steps, column.epsilon) for column in columns] == [(n, Fraction(8, 255)) for n in (20, 40, 100)]


@pytest.mark.parametrize(
    "table", [table for table in TABLES.values() if table.has_paper], ids=lambda table: str(table.name)
)
def test_every_row_has_a_figure_for_every_column_and_a_note_on_where_it_is_from(table: Table) -> None:
    assert all(len(row.robust) == len(table.columns) and row.note for row in table.rows)


def test_our_recipe_stands_with_and_without_its_contrastive_term_and_claims_no_figure_of_the_paper() -> None:
    assert [row.label for row in TABLES["robust"].rows if row.recipe == "robust"] == [
        "Robust, without contrast",
        "Robust, with contrast",
    ]
    assert all(row.natural is None and not row.robust for row in TABLES["robust"].rows)


def test_the_row_that_was_copied_from_another_paper_says_so() -> None:
    assert "PGD-20" in TABLES["table1"].rows[4].note


def titles(name: str, space: SpaceName = "pixel", num_autoattacked: int = 0) -> list[str]:
    return [column.title for column in columns_of(TABLES[name], space, num_autoattacked)]


def test_beside_the_paper_s_attacks_stand_crossing_ones_and_autoattack() -> None:
    own = ["PGD-10 at 8/255", "PGD-10 at 16/255"]
    assert titles("table1", num_autoattacked=50) == [*own, "PGD-20 at 8/255", "PGD-40 at 16/255", "AutoAttack at 8/255"]


def test_a_crossing_attack_that_the_table_has_is_not_measured_twice() -> None:
    assert titles("table3") == ["PGD-20 at 8/255", "PGD-40 at 8/255", "PGD-100 at 8/255"]


def test_beside_attacks_in_the_released_code_s_space_all_others_are_of_the_ball() -> None:
    columns = columns_of(TABLES["table3"], "released-code", 50)
    assert [column.space for column in columns] == ["released-code"] * 3 + ["pixel"] * 2
    assert [column.title for column in columns[3:]] == ["PGD-20 at 8/255 in pixels", "AutoAttack at 8/255 in pixels"]


@pytest.mark.parametrize("radius", [Fraction(8, 255), Fraction(16, 255), Fraction(1, 255)])
def test_thorough_steps_cross_the_ball_twice_and_more(radius: Fraction) -> None:
    assert thorough_steps(radius) * STEP_SIZE >= 2 * 2 * radius


def test_a_table_of_our_own_needs_rows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (Row("AT", "at", None, ()), Row("AT, wide attack", "at", None, (), (("attack.steps", 5),)))
    monkeypatch.setitem(TABLES, "ours", Table("table1", "Ours", TWO_RADII, rows))
    request = ReproductionRequest("ours", tmp_path, "small", compute="equal")  # type: ignore[arg-type]
    assert [config.attack.steps for config in configs_of(request)] == [3, 5]
    assert [config.supervised.epochs for config in configs_of(request)] == [35, 24]
    board = Board(request, table_of(request), configs_of(request))
    assert board.event(None).rows[0].paper_robust == (None,) * 5
    assert as_markdown(board, machine())
