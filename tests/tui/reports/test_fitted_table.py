import io

import pytest
from rich.console import Console
from rich.text import Text

from claf_tui.reports.fitted_table import FittedTable

ROW = (Text("a name of words"), Text("12345678"), Text("abcdefgh"))


def shown(width: int, **changes: object) -> list[str]:
    table = FittedTable(("name", "first", "second"), [ROW], **changes)  # type: ignore[arg-type]
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]


def test_a_wide_terminal_gets_every_column() -> None:
    lines = shown(60, optional=("second", "first"))
    assert lines[0].split() == ["name", "first", "second"]
    assert "wider" not in lines[-1]


@pytest.mark.parametrize(
    ("width", "headings", "told"),
    [(30, ["name", "first"], "second"), (20, ["name"], "first, second"), (4, None, None)],
)
def test_a_narrow_terminal_gets_fewer_columns_and_their_names(
    width: int, headings: list[str] | None, told: str | None
) -> None:
    lines = shown(width, optional=("second", "first"))
    if headings is not None:
        assert lines[0].split() == headings
        assert " ".join(" ".join(lines[3:]).split()) == f"a wider terminal also shows: {told}"
    assert all(len(line) <= width for line in lines)


def test_a_column_that_may_wrap_does_so_before_another_goes() -> None:
    lines = shown(30, optional=("second", "first"), wrapped={"name": 6})
    assert lines[0].split() == ["name", "first", "second"]


def test_captions_come_last() -> None:
    assert shown(20, optional=("second", "first"), captions=(Text("told"),))[-1] == "told"
