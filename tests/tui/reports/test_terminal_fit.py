import pytest

from claf_engine.selftest.findings import Row
from claf_tui.reports.terminal_fit import terminal_rows


def rows(
    size: tuple[int, int] = (120, 40), encoding: str = "utf-8", is_terminal: bool = True, **environment: str
) -> dict[str, Row]:
    found = terminal_rows(
        {"TERM": "xterm-256color"} | environment, is_terminal=is_terminal, size=size, encoding=encoding
    )
    return {row.name: row for row in found}


def test_a_usual_terminal_is_fit() -> None:
    assert {row.verdict for row in rows(COLORTERM="truecolor").values()} == {"passes"}


@pytest.mark.parametrize("size", [(79, 40), (120, 23)])
def test_a_small_terminal_is_told_to_grow(size: tuple[int, int]) -> None:
    row = rows(size)["terminal-size"]
    assert (row.verdict, row.figure) == ("warns", f"{size[0]} x {size[1]}")
    assert "80 columns by 24 lines" in row.advice


@pytest.mark.parametrize("term", ["", "dumb"])
def test_a_terminal_that_cannot_draw_is_told(term: str) -> None:
    row = rows(TERM=term)["terminal"]
    assert row.verdict == "warns"
    assert "set TERM" in row.advice


@pytest.mark.parametrize(
    ("environment", "figure", "verdict"),
    [
        ({"COLORTERM": "truecolor"}, "16 million", "passes"),
        ({"COLORTERM": "24bit"}, "16 million", "passes"),
        ({}, "256", "passes"),
        ({"TERM": "xterm"}, "16 or fewer", "warns"),
        ({"COLORTERM": "truecolor", "NO_COLOR": "1"}, "none", "passes"),
    ],
)
def test_colours_are_told(environment: dict[str, str], figure: str, verdict: str) -> None:
    row = rows(**environment)["colour"]
    assert (row.figure, row.verdict) == (figure, verdict)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "no-such-encoding"])
def test_an_encoding_that_lacks_glyphs_is_told(encoding: str) -> None:
    row = rows(encoding=encoding)["characters"]
    assert row.verdict == "warns"
    assert "UTF-8" in row.advice


def test_where_there_is_no_terminal_only_characters_are_judged() -> None:
    assert list(rows(is_terminal=False)) == ["terminal", "characters"]
