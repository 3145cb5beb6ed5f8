from dataclasses import replace

import pytest

from claf_engine.runs.overview import Result
from claf_engine.runs.probe_history import ListedFigure, ProbeHistory, ProbeSeries
from claf_tui.state.run_order import Order
from claf_tui.widgets.chart import PALETTE
from claf_tui.widgets.run_detail import detail_lines
from claf_tui.widgets.run_rows import (
    RowLook,
    column_at,
    heading,
    middle_cut,
    robust_cell,
    row,
    row_columns,
    short_name,
    sparkline,
)
from tests.engine.runs.listed import NOW, listed
from tests.tui.hostile import EVERYTHING, HOSTILE

LOOK = RowLook(NOW)


def shown(width: int, **changes: object) -> str:
    return row(listed(**changes), row_columns(width), LOOK).plain  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [80, 81, 100, 120, 140, 200, 400])
@pytest.mark.parametrize("text", ["demo", "a-much-longer-name-than-there-is-room-for-" * 3])
def test_rows_and_headings_are_as_wide_as_their_columns(width: int, text: str) -> None:
    columns = row_columns(width)
    run = listed(f"20270101-000000-{text}", phase=text, reason=text, note=text, tags=(text[:20],), data=text)
    line = row(run, columns, LOOK)
    assert line.cell_length == heading(columns, Order()).cell_length <= width


def test_eighty_cells_show_all_that_matters() -> None:
    assert [column.name for column in row_columns(80)] == [
        "state",
        "name",
        "method",
        "data",
        "age",
        "progress",
        "robust",
        "trend",
    ]
    assert shown(80, status="running", fraction=0.456).split() == [
        "⠋",
        "running",
        "demo",
        "claf",
        "cifar10",
        "2",
        "h",
        "━━──",
        "45%",
        "40.0%",
        "8/255",
    ]


def test_a_wide_list_says_where_a_run_was_interrupted() -> None:
    line = shown(160, status="interrupted", step=7354, newest=7000)
    assert "! interrupted" in line
    assert "at 7,354, checkpoint 7,000" in line
    (head, *_) = detail_lines(listed(status="interrupted", step=7354, newest=7000), 160, NOW)
    assert "interrupted at step 7,354 (newest checkpoint 7,000) · r resumes it" in head.plain


def test_a_run_is_never_shown_as_done_before_it_is() -> None:
    assert " 99%" in shown(80, status="running", fraction=0.9999)


FIGURE = ListedFigure(0.123, "8/255")


@pytest.mark.parametrize(
    ("figure", "width", "expected"),
    [
        (FIGURE, 11, "12.3% 8/255"),
        (replace(FIGURE, notice="too weak"), 13, "12.3% 8/255 !"),
        (replace(FIGURE, notice="too weak"), 11, "12.3% !"),
        (replace(FIGURE, space="released-code"), 22, "12.3% 8/255 (no ball)"),
        (replace(FIGURE, space="released-code"), 16, "12.3% (no ball)"),
        (replace(FIGURE, space="released-code"), 11, "12.3% !"),
        (replace(FIGURE, norm="l2", epsilon="0.5"), 14, "12.3% L2 0.5"),
        (replace(FIGURE, num_examples=1000), 22, "12.3% ±2.0 8/255"),
        (replace(FIGURE, num_examples=1000), 11, "12.3% 8/255"),
    ],
)
def test_a_mark_of_a_figure_is_never_left_out(figure: ListedFigure, width: int, expected: str) -> None:
    assert robust_cell(listed(result=Result(0.8, figure, "test")), width).plain == expected


@pytest.mark.parametrize(("num_examples", "is_bold"), [(0, True), (1000, True), (100, True), (10, False)])
def test_a_figure_of_few_images_is_not_shown_as_if_it_were_sure(num_examples: int, *, is_bold: bool) -> None:
    run = listed(result=Result(0.8, replace(FIGURE, accuracy=0.3, num_examples=num_examples), "test"))
    for width in (11, 22):
        spans = robust_cell(run, width).spans
        assert any("bold" in str(span.style) and span.end >= len("30.0%") for span in spans) == is_bold
    line = row(run, row_columns(140), LOOK)
    natural = line.plain.index("80.0%")
    assert any(PALETTE[0] in str(span.style) and span.start <= natural < span.end for span in line.spans) == is_bold


def test_the_detail_says_of_how_many_images_a_figure_is() -> None:
    figure = replace(FIGURE, num_examples=1000)
    assert "of 1,000 test images" in detail_lines(listed(result=Result(0.8, figure, "test")), 160, NOW)[1].plain
    series = ProbeSeries("attack", figure, 0.5, 1, (0.1, 0.1), 1, 2)
    probed = listed()
    probed = replace(probed, digest=replace(probed.digest, result=None, probes=ProbeHistory(0, 0, (series,))))
    assert "best of 2 probes of attack, step 1, 1,000 images" in detail_lines(probed, 160, NOW)[1].plain


def test_the_trend_rises_from_the_lowest_to_the_highest_and_keeps_the_newest() -> None:
    assert sparkline((0.1, 0.2, 0.3), 8) == "▁▅█"
    assert sparkline(tuple(number / 100 for number in range(64)), 8)[-1] == "█"
    assert sparkline((0.3, 0.3001), 8) == "▁▁"
    assert sparkline((), 8) == sparkline((0.3,), 0) == ""


def test_names_lose_their_date_and_their_middle() -> None:
    assert short_name("20261130-195245-tiny-seed1") == "tiny-seed1"
    assert short_name("my-own-name") == "my-own-name"
    assert middle_cut("tiny-claf-released-seed1", 11) == "tiny-…seed1"
    assert [middle_cut("abc", width) for width in (1, 2, 3)] == ["…", "…c", "abc"]


@pytest.mark.parametrize("text", [EVERYTHING, *HOSTILE])
def test_what_others_wrote_reaches_no_terminal_raw(text: str) -> None:
    run = listed(f"2-{text}", status=text, method=text, data=text, phase=text, reason=text, note=text, notice=text)
    figure = ListedFigure(0.1, text, text, text, text, text)
    series = ProbeSeries(text, figure, 0.5, 1, (0.1,), 1, 1)
    run = replace(run, digest=replace(run.digest, result=None, probes=ProbeHistory(0, 0, (series,))))
    lines = [row(run, row_columns(200), LOOK), *detail_lines(run, 200, NOW)]
    assert all(line.plain.isprintable() for line in lines)
    assert all(line.cell_length <= 400 for line in lines)


def test_a_click_on_a_heading_tells_its_column() -> None:
    columns = row_columns(80)
    places = [heading(columns, Order("name")).plain.index(column.name) for column in columns]
    assert [column_at(columns, place) for place in places] == [
        "state",
        "name",
        "method",
        "data",
        "age",
        "progress",
        "robust",
        None,
    ]
    assert column_at(columns, 0) is None


def test_below_the_list_stand_figures_their_doubts_and_what_was_written() -> None:
    doubted = Result(0.8, replace(FIGURE, notice="the steps do not span the ball"), "test")
    lines = [line.plain for line in detail_lines(listed(result=doubted, tags=("best",), note="two\nlines"), 140, NOW)]
    assert "natural 80.0%  robust 12.3% 8/255 !  of test images  ! the steps do not span the ball" in lines[1]
    assert "claf on cifar10 · begun 2 h ago" in lines[2]
    assert lines[3] == " #best  two lines"
    assert detail_lines(None, 80, NOW)[0].plain == ""


def test_below_the_list_stands_when_a_live_run_pauses_and_that_it_is_silent() -> None:
    run = listed(status="running", pause_unit="steps", pause_count=7, heartbeat=NOW - 90, step=12)
    text = " ".join(line.plain for line in detail_lines(run, 120, NOW))
    assert "step 12 · pauses in 7 steps" in text
    assert "no sign of life" not in text
    assert "! silent no sign of life for 1:30" in detail_lines(run, 120, NOW, is_silent=True)[0].plain
    ended = replace(run, status="finished")
    assert "pauses" not in " ".join(line.plain for line in detail_lines(ended, 120, NOW))
