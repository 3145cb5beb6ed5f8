import math

from hypothesis import given
from hypothesis import strategies as st

from claf_tui.state.series import MAX_POINTS, Series

values = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan), st.just(math.inf)), max_size=3000)


def series_of(ys: list[float]) -> Series:
    series = Series()
    for x, y in enumerate(ys):
        series = series.append(x, y)
    return series


@given(values)
def test_a_series_stays_bounded_and_loses_no_value(ys: list[float]) -> None:
    series = series_of(ys)
    assert len(series.points) < MAX_POINTS
    assert sum(point.num_values for point in series.points) == len(ys)


@given(values)
def test_peaks_survive_every_merge(ys: list[float]) -> None:
    finite = [y for y in ys if math.isfinite(y)]
    highs = [point.high for point in series_of(ys).points if not math.isnan(point.high)]
    lows = [point.low for point in series_of(ys).points if not math.isnan(point.low)]
    assert max(highs, default=None) == max(finite, default=None)
    assert min(lows, default=None) == min(finite, default=None)


def test_the_mean_of_merged_points_is_the_mean_of_their_values() -> None:
    series = series_of([float(i % 7) for i in range(MAX_POINTS)])
    assert series.stride == 2
    assert series.points[0].mean == 0.5
    assert series.points[-1].x == MAX_POINTS - 1


def test_a_value_that_is_not_finite_makes_a_gap() -> None:
    series = series_of([1.0, math.inf, 2.0])
    assert [math.isnan(point.mean) for point in series.points] == [False, True, False]


def test_the_latest_value_is_exact() -> None:
    assert series_of([float(i) for i in range(5000)]).latest == 4999.0


def test_steps_after_a_resume_are_taken_again() -> None:
    series = series_of([0.0, 1.0, 2.0, 3.0]).until(1)
    assert [point.x for point in series.points] == [0, 1]
    assert series.latest == 1.0
