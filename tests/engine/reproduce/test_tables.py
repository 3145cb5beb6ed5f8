from fractions import Fraction

import pytest

from claf_engine.reproduce.tables import TABLES, Table
from claf_engine.terms.names import TableName


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


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: str(table.name))
def test_every_row_has_a_figure_for_every_column_and_a_note_on_where_it_is_from(table: Table) -> None:
    assert all(len(row.robust) == len(table.columns) and row.note for row in table.rows)


def test_the_row_that_was_copied_from_another_paper_says_so() -> None:
    assert "PGD-20" in TABLES["table1"].rows[4].note
