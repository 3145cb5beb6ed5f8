from dataclasses import replace

import pytest

from claf_engine.events import ReproductionChanged, RowStatus
from claf_tui.state import RunState
from claf_tui.state.moment import Moment
from claf_tui.state.reproduction import Scene
from claf_tui.widgets.paper_table import body_lines, choose_layout, column_names, difference, head_lines, num_lines
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted_reproduction import table, waiting_rows

WIDTHS = (20, 40, 60, 78, 98, 138, 198)


def filled(**changes: object) -> ReproductionChanged:
    first, second, third, *others = waiting_rows()
    rows = (
        replace(first, status="reused", natural=0.941, robust=(0.003, 0.0), runs=("20261124-natural-1a2b",)),
        replace(second, status="finished", natural=0.902, robust=(0.183, None), seconds=640.0),
        replace(third, status="failed", reason="the loss is NaN at step 3; lower the learning rate", seconds=9.0),
        *others,
    )
    return table(rows, **changes)


def drawn(told: ReproductionChanged, width: int = 138, word: str = "RUNNING") -> list[str]:
    scene = Scene(replace(RunState(), reproduction=told), Moment(word))
    layout = choose_layout(told, width)
    return [line.plain for line in (*head_lines(told, layout), *body_lines(scene, width))]


def test_ours_stands_beside_the_paper_with_the_difference_and_a_gap_is_a_dash() -> None:
    lines = drawn(filled())
    assert "95.5 ★94.1  -1.4" in lines[2]
    assert "18.3 ★18.3   0.0" in lines[3]
    assert "9.1     —     —" in lines[3]


def test_only_the_best_of_ours_in_a_column_is_marked_and_a_single_figure_never() -> None:
    lines = drawn(filled())
    assert sum(line.count("★") for line in lines) == 2


@pytest.mark.parametrize(
    ("ours", "paper", "text", "style"),
    [
        (0.5, 0.45, "+5.0", "$success"),
        (0.5, 0.55, "-5.0", "$warning"),
        (0.5, 0.5004, "0.0", "$foreground"),
        (None, 0.5, "—", "$foreground 60%"),
        (0.5, None, "—", "$foreground 60%"),
    ],
)
def test_a_difference_has_a_sign_and_a_colour(ours: float | None, paper: float | None, text: str, style: str) -> None:
    assert difference(ours, paper) == (text, style)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_line_fits_and_figures_stand_under_their_heads(width: int) -> None:
    told = filled()
    lines = drawn(told, width)
    assert all(len(line) <= width for line in lines[2:])
    if width < 40:
        return
    head, first = lines[1], lines[2]
    assert head.index("paper") + len("paper") == first.index("95.5") + len("95.5")
    assert head.index("ours") + len("ours") == first.index("94.1") + len("94.1")


def test_eighty_columns_hold_three_groups_with_differences_and_times() -> None:
    layout = choose_layout(filled(), 78)
    assert layout.groups == (0, 0, 0)
    assert layout.has_differences
    assert layout.has_times


def test_the_reason_of_a_failure_stands_under_its_row() -> None:
    lines = drawn(filled(), 78)
    at = next(index for index, line in enumerate(lines) if "✘" in line)
    assert "the loss is NaN" in lines[at + 1]
    assert num_lines(filled(), 78) == len(lines) - 2


@pytest.mark.parametrize(
    ("status", "glyph"), [("waiting", "○"), ("finished", "✔"), ("reused", "↺"), ("failed", "✘"), ("running", "⠋")]
)
def test_each_status_has_a_glyph_and_a_word(status: RowStatus, glyph: str) -> None:
    line = drawn(table((replace(waiting_rows()[0], status=status),)))[2]
    assert glyph in line
    assert ("starting" if status == "running" else status) in line


def test_a_waiting_row_shows_an_estimate_and_an_ended_one_what_it_took() -> None:
    lines = drawn(filled())
    assert "~30:30" in next(line for line in lines if "TRADES" in line)
    assert " 10:40" in next(line for line in lines if "SCL" in line)


def test_a_row_that_was_cut_short_says_so_at_the_end() -> None:
    told = table((replace(waiting_rows()[0], status="running"),), current=0)
    assert "cut short" in drawn(told, word="STOPPED")[2]
    assert "paused" in drawn(told, word="PAUSED")[2]


def test_the_spread_of_seeds_has_a_column_only_where_there_is_one() -> None:
    assert "spread" not in drawn(filled())[1]
    rows = tuple(replace(row, spread=0.012) for row in waiting_rows())
    assert "spread" in drawn(table(rows))[1]
    assert "1.2" in drawn(table(rows))[2]


def wide(**changes: object) -> ReproductionChanged:
    """A table with columns of ours beside the paper's, its first two rows measured and audited."""
    first, second, *others = waiting_rows()
    rows = (
        replace(first, natural=0.9, robust=(0.1, 0.0, 0.1, 0.0, 0.05), units=318.0, audit="warns"),
        replace(second, natural=0.8, robust=(0.5, 0.3, 0.4, 0.2, 0.31), near_best=(True, *[False] * 5), units=318.6),
        *others,
    )
    paper = tuple(replace(row, paper_robust=(*row.paper_robust, None, None, None)) for row in rows)
    own = ("PGD-20 at 8/255", "PGD-40 at 16/255", "AutoAttack at 8/255")
    return table(paper, columns=("PGD-10 at 8/255", "PGD-10 at 16/255", *own), **changes)


def test_a_column_without_the_paper_s_figures_holds_ours_alone_under_a_short_name() -> None:
    names, heads, first, *_ = drawn(wide(), 170)
    assert [name for name in names.split() if "@" in name] == ["PGD-20@8", "PGD-40@16", "AA@8"]
    assert heads.split().count("paper") == 3
    assert heads.split().count("ours") == 6
    assert [word.strip("★≈") for word in first.split()][-5:-2] == ["10.0", "0.0", "5.0"]


def test_eighty_columns_hold_the_paper_s_columns_and_ours() -> None:
    names, _, first, *_ = drawn(wide(), 78)
    assert all(name in names for name in ("natural", "8/255", "16/255", "PGD-20@8", "PGD-40@16", "AA@8"))
    assert "5.0" in first


def test_a_figure_that_the_best_is_ahead_of_by_noise_is_marked() -> None:
    lines = drawn(wide(), 170)
    assert "≈80.0" in lines[3]
    assert "★90.0" in lines[2]


def test_what_training_cost_and_the_verdict_have_columns_where_there_is_room() -> None:
    heads, first = drawn(wide(), 198)[1:3]
    assert "units" in heads
    assert "318" in first
    assert "warns" in first
    assert "audit" not in drawn(filled(), 198)[1]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_line_of_a_wide_table_fits(width: int) -> None:
    assert all(len(line) <= width for line in drawn(wide(), width)[2:])


def test_foreign_text_is_cleaned() -> None:
    rows = tuple(
        replace(row, label=EVERYTHING, runs=(EVERYTHING,), reason=EVERYTHING, status="failed") for row in waiting_rows()
    )
    for width in WIDTHS:
        assert all(line.isprintable() for line in drawn(table(rows, columns=(EVERYTHING, EVERYTHING)), width))


@pytest.mark.parametrize(
    ("columns", "room", "names"),
    [
        (("PGD-10 at 8/255", "PGD-10 at 16/255"), 17, ["PGD-10 at 8/255", "PGD-10 at 16/255"]),
        (("PGD-10 at 8/255", "PGD-10 at 16/255"), 11, ["8/255", "16/255"]),
        (("PGD-20 at 8/255", "PGD-100 at 8/255"), 11, ["PGD-20", "PGD-100"]),
        (("a very long name indeed",), 11, ["a very lon…"]),
    ],
)
def test_columns_keep_what_tells_them_apart(columns: tuple[str, ...], room: int, names: list[str]) -> None:
    assert column_names(columns, room) == names


def test_a_table_that_the_paper_has_no_figures_of_has_no_columns_for_them() -> None:
    rows = tuple(
        replace(row, paper_natural=None, paper_robust=(None, None), natural=0.941, robust=(0.3, 0.2))
        for row in waiting_rows()
    )
    head = drawn(table(rows))[1]
    assert "paper" not in head
    assert "diff" not in head
    assert head.count("ours") == 3
