import io

import pytest
from rich.console import Console
from rich.text import Text

from claf_tui.reports.fitted_table import FittedTable, Fold, folded

STYLED = Text("stopped")
STYLED.stylize("red", 0, 4)
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
    lines = shown(30, optional=("second", "first"), folds={"name": Fold(6)})
    assert lines[0].split() == ["name", "first", "second"]


def test_captions_come_last() -> None:
    assert shown(20, optional=("second", "first"), captions=(Text("told"),))[-1] == "told"


@pytest.mark.parametrize("color_system", [None, "truecolor"])
def test_lines_that_fit_are_those_that_rich_draws(color_system: str | None) -> None:
    rows = [ROW, (Text(""), STYLED, Text("wide 漢字", "bold")), ROW]
    table = FittedTable(("name", "first", "a long heading"), rows)

    def drawn(renderable: object) -> list[str]:
        file = io.StringIO()
        console = Console(file=file, width=80, color_system=color_system, force_terminal=True)  # type: ignore[arg-type]
        console.print(renderable)
        return file.getvalue().splitlines()

    by_rich = drawn(table._table(dict(enumerate(table._rooms))))
    ours = drawn(table)
    assert [Text.from_ansi(line).plain for line in ours] == [Text.from_ansi(line).plain for line in by_rich]
    assert ("\x1b[31m" in ours[4]) == ("\x1b[31m" in by_rich[4]) == (color_system is not None)
    assert ("\x1b[1m" in ours[4]) == (color_system is not None)


def test_a_cell_that_many_rows_share_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real = Text.render

    def render(self: Text, console: Console, end: str = "") -> object:
        calls.append(self.plain)
        return real(self, console, end)

    monkeypatch.setattr(Text, "render", render)
    table = FittedTable(("name", "status"), [(Text(f"run {number}"), STYLED) for number in range(500)])
    console = Console(file=io.StringIO(), width=80)
    console.print(table)
    assert calls.count("stopped") == 1
    assert console.file.getvalue().count("stopped") == 500  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("20261128-095155-shrunk", 22, ["20261128-095155-shrunk"]),
        ("20261128-095155-shrunk", 21, ["20261128-095155-", "shrunk"]),
        ("20261128-095155-shrunk", 16, ["20261128-095155-", "shrunk"]),
        ("12.5% at 8/255, 9.4% at 16/255", 20, ["12.5% at 8/255,", "9.4% at 16/255"]),
        ("12.5% at 8/255, 9.4% at 16/255", 10, ["12.5% at", "8/255,", "9.4% at", "16/255"]),
        ("a, b, c d e f", 8, ["a, b,", "c d e f"]),
        ("unbreakable", 4, ["unbreakable"]),
        ("漢字-漢字", 6, ["漢字-", "漢字"]),
        ("", 4, [""]),
    ],
)
def test_a_text_folds_after_commas_or_else_between_words_and_never_inside_one(
    text: str, width: int, lines: list[str]
) -> None:
    assert folded(Text(text), width).plain.split("\n") == lines


def test_a_folded_text_keeps_its_colours() -> None:
    text = Text.assemble("validation, ", ("unaudited", "dim"))
    spans = folded(text, 12).spans
    assert [(span.start, span.end, span.style) for span in spans] == [(12, 21, "dim")]


def test_a_column_stays_whole_while_another_can_go() -> None:
    changes = {"optional": ("second", "first"), "folds": {"name": Fold(4, whole=15)}}
    assert shown(28, **changes)[0].split() == ["name", "first"]
    assert shown(28, **changes)[2].split() == ["a", "name", "of", "words", "12345678"]


def test_where_nothing_more_can_go_a_column_folds_further() -> None:
    lines = shown(9, optional=("second", "first"), folds={"name": Fold(6, whole=15)})
    assert lines[2:5] == [" a name", " of", " words"]
