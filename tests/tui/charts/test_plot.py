import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claf_tui.charts.plot import ChartLine, ChartOptions, plot
from claf_tui.state.series import Series
from tests.properties import examples

GOLDEN = Path(__file__).parent / "golden"


def series(ys: list[float], every: int = 10) -> Series:
    result = Series()
    for index, y in enumerate(ys):
        result = result.append(index * every, y)
    return result


def drawn(ys: dict[str, list[float]], width: int = 60, height: int = 14, **options: bool) -> str:
    lines = [ChartLine(name, "#56b4e9", series(values)) for name, values in ys.items()]
    rows = plot(lines, width, height, ChartOptions(**options))
    return "\n".join("".join(text for text, _ in row).rstrip() for row in rows) + "\n"


LOSSES = [4 * math.exp(-i / 60) + 1 + 0.2 * math.sin(i) for i in range(200)]
WITH_GAP = [1.0 + (i % 5) * 0.1 if not 40 < i < 60 else math.nan for i in range(100)]
PROBES = {"natural": [0.3, 0.5, 0.8, 0.9], "8/255": [0.1, 0.2, 0.5, 0.6]}

CURVES = {
    "loss": lambda: drawn({"stage 1": LOSSES}, is_smoothed=True),
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
    rows = plot([ChartLine("a", "#ffffff", series([1, 2]))], 20, 4, ChartOptions())
    assert ["".join(text for text, _ in row) for row in rows] == ["● a 2"]


def test_nothing_to_show_draws_nothing() -> None:
    assert plot([ChartLine("a", "#ffffff", Series())], 80, 20, ChartOptions()) == []


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
    curves: list[list[float]], width: int, height: int, is_percent: bool, is_smoothed: bool, is_log: bool
) -> None:
    lines = [ChartLine(f"curve {i}", "#56b4e9", series(ys)) for i, ys in enumerate(curves)]
    rows = plot(lines, width, height, ChartOptions(is_percent, is_smoothed, is_log))
    assert len(rows) in {0, 1, height}
    for row in rows[1:]:
        assert len("".join(text for text, _ in row)) == width
    assert not rows or len("".join(text for text, _ in rows[0])) <= width


def test_places_on_the_horizontal_axis_have_names_and_overlapping_ones_are_left_out() -> None:
    marks = ((0.0, "0/255"), (1.0, "1/255"), (10.0, "10/255"))
    options = ChartOptions(is_percent=True, x_name="ε", x_marks=marks)
    rows = plot([ChartLine("a", "#56b4e9", series([0.5, 0.2]))], 40, 8, options)
    assert "".join(text for text, _ in rows[-1]).split() == ["ε", "0/255", "10/255"]
