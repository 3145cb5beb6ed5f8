import pytest

from claf_tui.state.comparison_tables import Cell, TextTable
from claf_tui.widgets.comparison_tables import folded_text, page_lines, table_lines

TABLE = TextTable(
    "Figures",
    ("", "run", "state", "natural", "8/255"),
    ((Cell("A", "run0"), Cell("a-run-with-a-long-name"), Cell("finished"), Cell("90.0% [88.0, 91.7]"), Cell("60.0%")),),
    ("state",),
    ("a note that goes on and on until it takes more than one line",),
)


@pytest.mark.parametrize("width", [20, 44, 60, 80, 120])
def test_no_line_is_wider_than_there_is_room(width: int) -> None:
    assert all(line.cell_length <= width for line in page_lines([TABLE, TABLE], width))


def test_a_wide_table_shows_all_columns_in_one_line_each() -> None:
    head, row, *_ = (line.plain.split() for line in table_lines(TABLE, 120))
    assert head == ["run", "state", "natural", "8/255"]
    assert row == ["A", "a-run-with-a-long-name", "finished", "90.0%", "[88.0,", "91.7]", "60.0%"]


def test_where_there_is_no_room_a_column_goes_and_is_named_and_names_fold_before_figures() -> None:
    text = "\n".join(line.plain for line in table_lines(TABLE, 48))
    assert "90.0% [88.0, 91.7]" in text
    assert "finished" not in text
    assert "a wider terminal also shows: state" in text


def test_a_table_without_rows_says_why() -> None:
    (line,) = table_lines(TextTable("x", ("a",), (), empty="nothing yet"), 40)
    assert line.plain == " nothing yet"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("linear_evaluation.adversarial_epochs", ["linear_", "evaluation.", "adversarial_", "epochs"]),
        ("[0.4886, 0.4775, 0.4426]", ["[0.4886,", "0.4775,", "0.4426]"]),
        ("日本語の名前です", ["日本語の名前", "です"]),
        ("x" * 60, ["x" * 12] * 3 + ["x" * 11 + "…"]),
    ],
)
def test_a_long_text_is_folded_where_it_can_be(text: str, lines: list[str]) -> None:
    assert folded_text(text, 12) == lines
