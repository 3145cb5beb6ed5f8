import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from claf_tui.charts.plot import ChartLine, ChartOptions, Row, Scene, aligned, plot
from claf_tui.charts.view import X_AXES, Extent, View, XAxis
from claf_tui.state import Mark
from claf_tui.state.series import Series
from claf_tui.state.timeline import Timeline
from claf_tui.words import figures
from tests.properties import examples

GOLDEN = Path(__file__).parent / "golden"


def series(ys: list[float], every: int = 10) -> Series:
    result = Series()
    for index, y in enumerate(ys):
        result = result.append(index * every, y)
    return result


def drawn(ys: dict[str, list[float]], width: int = 60, height: int = 14, **options: bool) -> str:
    lines = [ChartLine(name, "#56b4e9", series(values)) for name, values in ys.items()]
    rows = plot(lines, width, height, ChartOptions(**options)).rows
    return "\n".join("".join(text for text, _ in row).rstrip() for row in rows) + "\n"


LOSSES = [4 * math.exp(-i / 60) + 1 + 0.2 * math.sin(i) for i in range(200)]
WITH_GAP = [1.0 + (i % 5) * 0.1 if not 40 < i < 60 else math.nan for i in range(100)]
PROBES = {"natural": [0.3, 0.5, 0.8, 0.9], "8/255": [0.1, 0.2, 0.5, 0.6]}

CURVES = {
    "loss": lambda: drawn({"stage 1": LOSSES}, has_trend=True),
    "log_loss": lambda: drawn({"stage 1": [100 * math.exp(-i / 30) + 0.1 for i in range(200)]}, is_log=True),
    "probe": lambda: drawn(PROBES, is_percent=True),
    "gap": lambda: drawn({"loss": WITH_GAP}),
}


@pytest.mark.parametrize("name", CURVES)
def test_a_known_curve_is_drawn_as_recorded(name: str) -> None:
    assert CURVES[name]() == (GOLDEN / f"chart_{name}.txt").read_text(encoding="utf-8")


def test_a_value_that_is_not_finite_leaves_a_gap_and_does_not_move_the_axis() -> None:
    with_gap = drawn({"a": [1.0, 1.5, math.inf, math.nan, 1.2, 2.0]})
    without = drawn({"a": [1.0, 1.5, 1.5, 1.2, 1.2, 2.0]})
    axis = [line.split("┤")[0] for line in with_gap.splitlines() if "┤" in line]
    assert axis == [line.split("┤")[0] for line in without.splitlines() if "┤" in line]
    assert "nan" not in with_gap
    assert "inf" not in with_gap


def test_no_peak_is_lost_however_many_points_share_a_column() -> None:
    ys = [0.0] * 900
    ys[450] = 1.0
    top_row = drawn({"a": ys}, width=30).splitlines()[1]
    assert any(0x2800 < ord(char) < 0x2900 for char in top_row)


def test_a_narrow_legend_rounds_rather_than_dropping_a_curve() -> None:
    curves = {"before": [0.321], "after": [0.519], "dissociation": [0.014]}
    assert "● dissociation 1%" in drawn(curves, width=46, is_percent=True)
    assert "● dissociation 1.4%" in drawn(curves, width=60, is_percent=True)


def test_with_too_little_room_the_legend_is_left() -> None:
    rows = plot([ChartLine("a", "#ffffff", series([1, 2]))], 20, 4, ChartOptions()).rows
    assert ["".join(text for text, _ in row) for row in rows] == ["● a 2"]


def test_nothing_to_show_draws_nothing() -> None:
    assert plot([ChartLine("a", "#ffffff", Series())], 80, 20, ChartOptions()).rows == []


LABEL_ROWS = 3
"""The legend, the line below the plot and its labels."""


def dot_of(row: int, glyph: str) -> int:
    """The dot, from the top of the plot, of a character that has one row of dots."""
    code = ord(glyph) - 0x2800
    inside = {0x01: 0, 0x02: 1, 0x04: 2, 0x40: 3, 0x08: 0, 0x10: 1, 0x20: 2, 0x80: 3}
    return 4 * row + next(inside[bit] for bit in inside if code & bit)


@pytest.mark.parametrize("is_log", [False, True])
@pytest.mark.parametrize("height", range(7, 64))
def test_tick_grid_and_dot_of_a_value_coincide_at_every_height(height: int, is_log: bool) -> None:
    """Plots of 4 to 60 rows: a level curve at the value of each tick covers the dots of that tick's grid line."""
    bounds = ChartLine("bounds", "#111111", series([0.013, 0.94]))
    options = ChartOptions(is_log=is_log)
    bare = plot([bounds], 60, height, options).rows
    num_rows = height - LABEL_ROWS
    ticks = {row: line for row, line in enumerate(bare[1 : num_rows + 1]) if "┤" in line[0][0]}
    assert len(ticks) >= 2
    for row, line in ticks.items():
        name = line[0][0].split("┤")[0].strip()
        grid = next(text for text, style in line if style == "grid")
        level = ChartLine("level", "#222222", series([float(name)] * 40))
        drawn = plot([bounds, level], 60, height, options).rows
        plotted = enumerate(drawn[1 : num_rows + 1])
        styled = [(number, text) for number, spans in plotted for text, style in spans if style == "#222222"]
        assert {number for number, _ in styled} == {row}
        assert {dot_of(row, glyph) for _, text in styled for glyph in text[3:4]} == {dot_of(row, grid[0])}


def test_the_raw_curve_is_bright_and_the_trend_is_told_beside_it() -> None:
    rows = plot([ChartLine("a", "#56b4e9", series(LOSSES))], 60, 14, ChartOptions(has_trend=True)).rows
    styles = {style for row in rows for _, style in row}
    assert {"#56b4e9", "bright #56b4e9"} <= styles
    legend = "".join(text for text, _ in rows[0])
    assert legend.startswith(f"● a {figures.figure(LOSSES[-1])} trend ")
    assert float(legend.rsplit(" ", 1)[1]) == pytest.approx(4 * math.exp(-199 / 60) + 1, abs=0.1)


def test_a_curve_of_few_values_has_no_trend() -> None:
    rows = plot([ChartLine("a", "#56b4e9", series(LOSSES[:150]))], 60, 14, ChartOptions(has_trend=True)).rows
    assert not any("trend" in text or style.startswith("bright") for row in rows for text, style in row)
    asked = Scene(view=View(smoothing=3))
    rows = plot([ChartLine("a", "#56b4e9", series(LOSSES[:150]))], 60, 14, ChartOptions(has_trend=True), asked).rows
    assert any("trend" in text for text, _ in rows[0])


def test_the_legend_gives_the_value_under_the_cursor() -> None:
    lines = [ChartLine("a", "#56b4e9", series([1.0, 2.0, 3.0])), ChartLine("b", "#111111", series([9.0]))]
    rows = plot(lines, 60, 14, ChartOptions(), Scene(view=View(cursor=11.0))).rows
    assert "".join(text for text, _ in rows[0]) == "● a 2  ● b –"
    assert any(style == "cursor" and text == "│" for row in rows for text, style in row)


def test_a_line_for_each_classifier_shares_a_name_and_a_colour_and_does_not_join() -> None:
    first = ChartLine("8/255", "#56b4e9", series([0.1, 0.1, 0.1]))
    after = Series()
    for x in (100.0, 110.0, 220.0):
        after = after.append(x, 0.9)
    second = ChartLine("8/255", "#56b4e9", after)
    bands = Scene(bands=((0.0, "quick fit"), (100.0, "attack")))
    rows = plot([first, second], 60, 16, ChartOptions(is_percent=True), bands).rows
    assert "".join(text for text, _ in rows[0]) == "● 8/255 90.0%"
    middle = "".join("".join(text for text, style in row if style == "#56b4e9") for row in rows[5:10])
    assert middle == ""
    assert "quick fit" in (head := "".join(text for text, _ in rows[1]))
    assert head.index("quick fit") < head.index("┊attack")


def test_what_happened_stands_on_the_axis_and_gaps_are_crossed() -> None:
    marks = (Mark(100, "phase"), Mark(200, "edit"), Mark(300, "best"), Mark(400, "best"), Mark(500, "alert"))
    lines = [ChartLine("a", "#56b4e9", series([1.0 if not 70 <= i < 80 else math.nan for i in range(100)]))]
    foot = "".join(text for text, _ in plot(lines, 80, 14, ChartOptions(), Scene(marks=marks)).rows[-2])
    found = [char for char in foot if char in "┃✎★⚠╳"]
    assert "".join(dict.fromkeys(found)) == "┃✎★⚠╳"
    assert found.count("★") == 1


@pytest.mark.parametrize(("axis", "names"), [("epoch", {"0", "2", "4"}), ("clock", {"1:00h", "2:00h"})])
def test_the_horizontal_axis_counts_epochs_or_time(axis: XAxis, names: set[str]) -> None:
    timeline = Timeline()
    for step, epoch, seconds in ((0, 0, 0), (40, 2, 3600), (100, 4, 7200)):
        timeline = Timeline(timeline.clock.append(step, seconds), timeline.epochs.append(step, epoch))
    lines = [ChartLine("a", "#56b4e9", series([1.0] * 11))]
    drawing = plot(lines, 80, 14, ChartOptions(), Scene(View(x_axis=axis), timeline=timeline))
    foot = "".join(text for text, _ in drawing.rows[-1])
    assert foot.startswith(axis)
    assert names <= set(foot.split())
    assert drawing.horizontal is not None
    middle = drawing.horizontal.num_columns // 2
    assert drawing.horizontal.step_at(middle) == pytest.approx(40, abs=3)


def test_a_click_finds_the_step_that_is_drawn_there() -> None:
    lines = [ChartLine("a", "#56b4e9", series([1.0] * 101))]
    for view in (View(), View(is_x_log=True), View(span=200.0, end=600.0)):
        drawing = plot(lines, 80, 14, ChartOptions(), Scene(view))
        assert drawing.horizontal is not None
        for column in (3, 20, 60):
            step = drawing.horizontal.step_at(column)
            place = drawing.horizontal.place(np.array([step]))[0]
            assert place // 2 == column


def test_zooming_shows_only_what_is_in_view_and_fits_the_values_to_it() -> None:
    lines = [ChartLine("a", "#56b4e9", series([float(i) for i in range(101)]))]
    rows = plot(lines, 60, 14, ChartOptions(), Scene(View(span=100.0, end=500.0))).rows
    values = [float(text.split("┤")[0]) for row in rows for text, _ in row[:1] if "┤" in text]
    assert min(values) >= 38
    assert max(values) <= 52


def test_without_colours_curves_differ_by_their_dashes() -> None:
    lines = [ChartLine(name, "#56b4e9", series([level] * 60)) for name, level in (("a", 0.2), ("b", 0.5), ("c", 0.8))]
    rows = plot(lines, 80, 20, ChartOptions(is_colourless=True)).rows
    drawn = {"".join(text for text, style in row if style == "#56b4e9") for row in rows[1:-2]} - {""}
    assert len({text.replace(" ", "")[:20] for text in drawn}) == 3
    assert "".join(text for text, _ in rows[0]) == "● a 0.2  ╍ b 0.5  ┅ c 0.8"


any_value = st.one_of(st.floats(), st.floats(0, 1))


@examples(60)
@given(
    st.lists(st.lists(any_value, max_size=50), max_size=4),
    st.integers(1, 120),
    st.integers(1, 40),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_every_row_has_the_width_of_the_chart(
    curves: list[list[float]], width: int, height: int, is_percent: bool, has_trend: bool, is_log: bool
) -> None:
    lines = [ChartLine(f"curve {i}", "#56b4e9", series(ys)) for i, ys in enumerate(curves)]
    rows = plot(lines, width, height, ChartOptions(is_percent, has_trend, is_log)).rows
    assert len(rows) in {0, 1, height}
    for row in rows[1:]:
        assert len("".join(text for text, _ in row)) == width
    assert not rows or len("".join(text for text, _ in rows[0])) <= width


def test_places_on_the_horizontal_axis_have_names_and_overlapping_ones_are_left_out() -> None:
    marks = ((0.0, "0/255"), (1.0, "1/255"), (10.0, "10/255"))
    options = ChartOptions(is_percent=True, x_name="ε", x_marks=marks)
    rows = plot([ChartLine("a", "#56b4e9", series([0.5, 0.2]))], 40, 8, options).rows
    assert "".join(text for text, _ in rows[-1]).split() == ["ε", "0/255", "10/255"]


@pytest.mark.parametrize(
    ("ys", "is_percent", "written"),
    [
        ([10000.0, 10490.0], False, ["1.04e4", "1.02e4", "1e4"]),
        ([-12000.0, -11850.0], False, ["-1.185e4", "-1.19e4", "-1.195e4", "-1.2e4"]),
        ([1.0, 1.00000005], False, ["1.00000004", "1.00000002", "1.00000000"]),
        ([0.001, 0.002], True, ["0.20%", "0.15%", "0.10%"]),
        ([0.5, 2.0], False, ["2.0", "1.5", "1.0", "0.5"]),
    ],
)
def test_no_two_ticks_look_alike(ys: list[float], is_percent: bool, written: list[str]) -> None:
    chart = drawn({"a": ys}, height=12, is_percent=is_percent, is_log=is_percent)
    assert [line.split("┤")[0].strip() for line in chart.splitlines() if "┤" in line] == written


def test_labels_of_steps_differ_however_many_steps_there_were() -> None:
    curve = Series()
    for step in range(50):
        curve = curve.append(10**12 + step, step)
    foot = plot([ChartLine("a", "#ffffff", curve)], 70, 12, ChartOptions()).rows[-1][0][0]
    assert foot.split() == ["step", "1000.00000001G", "1000.00000003G"]


def test_on_a_logarithmic_axis_a_curve_that_now_and_then_is_0_falls_to_the_foot_and_does_not_vanish() -> None:
    ys = [0.0 if index % 4 == 0 else 0.1 for index in range(3000)]
    with_zeros, without = (drawn({"a": values}, is_log=True).splitlines() for values in (ys, [0.1] * 3000))
    level = next(number for number, line in enumerate(without) if line.startswith("0.10"))
    assert all(line.count("⣿") > 50 for line in with_zeros[level + 1 : -2])
    assert "╳" not in with_zeros[-2]
    assert "⣿" not in "".join(without)


def test_a_point_that_holds_a_value_beyond_all_axes_is_a_gap_among_the_others() -> None:
    spiked = [2e30 if index % 1500 == 700 else float(index) for index in range(3000)]
    rows = drawn({"a": spiked}).splitlines()
    assert rows[-2].count("╳") == 2
    assert [row.split("┤")[0].strip() for row in rows if "┤" in row] == ["3000", "2000", "1000", "0"]


def test_values_whose_sum_is_no_number_any_more_draw_without_a_warning() -> None:
    assert drawn({"a": [1e308, -1e308] * 2000 + [1.0] * 4000}).splitlines()[-2].count("╳") > 20


@pytest.mark.parametrize("start", range(4))
def test_wide_characters_take_two_cells_each_whatever_a_curve_leaves_of_them(start: int) -> None:
    lines = [ChartLine("学習率の実験", "#56b4e9", series([0.0] * (17 + start) + [1.0] * (23 - start)))]
    scene = Scene(bands=((0, "敵対的分類器による長い名前の分類器"), (230, "自然")))
    rows = plot(lines, 50, 10, ChartOptions(), scene).rows
    assert {cell_len("".join(text for text, _ in row)) for row in rows[1:]} == {50}
    assert "敵対" in "".join(text for text, _ in rows[1])


def test_a_legend_of_wide_names_keeps_to_its_width() -> None:
    lines = [ChartLine(f"実験の名前{number}", "#56b4e9", series([1.0, 2.0])) for number in range(4)]
    head = plot(lines, 36, 10, ChartOptions()).rows[0]
    assert cell_len("".join(text for text, _ in head)) <= 36
    assert "実験の名前1" in "".join(text for text, _ in head)


def paced(steps: int, per_epoch: int, seconds: float) -> Timeline:
    timeline = Timeline()
    for step in range(0, steps + 1, per_epoch):
        timeline = Timeline(timeline.clock.append(step, seconds * step), timeline.epochs.append(step, step / per_epoch))
    return timeline


@pytest.mark.parametrize(("axis", "column"), [("step", 0.25), ("epoch", 0.5), ("clock", 0.75)])
def test_another_run_is_placed_by_its_own_epochs_and_its_own_clock(axis: XAxis, column: float) -> None:
    # 200 steps of the other are 8 of 16 epochs, and at 3 s each as long as 600 of the 800 steps shown.
    curve = Series()
    for step in (0, 199, 200):
        curve = curve.append(step, 1.0 if step == 200 else 0.0)
    other = ChartLine("other", "#56b4e9", curve, timeline=paced(400, 25, 3.0))
    scene = Scene(View(x_axis=axis), Extent(0, 800), paced(800, 50, 1.0))
    drawing = plot([other], 80, 14, ChartOptions(), scene)
    assert drawing.horizontal is not None
    last = max(len("".join(text for text, _ in row).rstrip("⠂⠄⠁⡀ ")) for row in drawing.rows[1:5])
    assert last - drawing.left == pytest.approx(column * drawing.horizontal.num_columns, abs=1.5)
    head = plot([other], 80, 14, ChartOptions(), replace(scene, view=View(x_axis=axis, cursor=column * 800))).rows[0]
    assert "".join(text for text, _ in head) == "● other 1"


def test_steps_of_two_runs_are_aligned_both_ways() -> None:
    one, two = paced(800, 50, 1.0), paced(400, 25, 3.0)
    for axis in X_AXES:
        there = aligned(np.array([40.0, 333.0]), View(x_axis=axis), one, two)
        assert aligned(there, View(x_axis=axis), two, one) == pytest.approx([40.0, 333.0])


def test_a_logarithmic_axis_of_little_more_than_one_number_has_round_ticks_all_the_same() -> None:
    scene = Scene(View(is_x_log=True, span=48.0, end=188.0), Extent(0, 200))
    curve = Series()
    for step in range(201):
        curve = curve.append(step, 139 + step / 4.1)
    rows = plot([ChartLine("a", "#ffffff", curve)], 70, 12, ChartOptions(is_log=True), scene).rows
    assert "".join(text for text, _ in rows[-1]).split() == ["step", "150", "160", "170", "180"]
    texts = ["".join(text for text, _ in row) for row in rows]
    assert [text.split("┤")[0].strip() for text in texts if "┤" in text] == ["200", "150"]


def test_a_run_that_is_laid_over_lies_below_the_one_that_is_shown_and_has_no_marks() -> None:
    own = ChartLine("own", "#56b4e9", series([1.0, 1.0, 1.0]))
    over = ChartLine("a", "#e69f00", series([1.0, 1.0, 2.0]), 1, Timeline())
    rows = plot([own, over], 60, 14, ChartOptions(), Scene()).rows
    styles = {style for row in rows[1:-2] for text, style in row if any(0x2800 < ord(char) < 0x2900 for char in text)}
    assert styles == {"grid", "#56b4e9", "dim #e69f00"}
    # Where both meet, the colour is that of the own run, and the dots of both are there.
    both, alone = (plot(lines, 60, 14, ChartOptions(is_percent=True)).rows for lines in ([own, over], [own]))
    assert count_cells(both, "#56b4e9") == count_cells(alone, "#56b4e9") > 40


def count_cells(rows: list[Row], style: str) -> int:
    return sum(len(text) for row in rows[1:-2] for text, name in row if name == style)


def test_an_edit_is_a_vertical_line_with_what_changed() -> None:
    marks = (Mark(40, "edit", "temperature 0.07→0.1"), Mark(45, "edit", "learning_rate 0.1→0.05"))
    line = ChartLine("loss", "#56b4e9", series([1.0] * 10))
    rows = plot([line], 80, 12, ChartOptions(), Scene(marks=marks)).rows
    texts = ["".join(text for text, _ in row) for row in rows]
    assert sum(text.count("╎") for text in texts) >= 2 * 6
    assert any("learning_rate 0.1→0.05" in text for text in texts)
    assert all(cell_len(text) == cell_len(texts[1]) for text in texts[1:9])


def test_what_an_edit_near_the_right_edge_changed_stands_left_of_it() -> None:
    line = ChartLine("loss", "#56b4e9", series([1.0] * 10))
    scene = Scene(marks=(Mark(85, "edit", "temperature 0.07→0.1"),))
    texts = ["".join(text for text, _ in row) for row in plot([line], 60, 12, ChartOptions(), scene).rows]
    assert any("temperature 0.07→0.1╎" in text for text in texts)
