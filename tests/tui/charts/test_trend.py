import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claf_tui.charts.trend import MAX_POINTS, trend, usual_level
from claf_tui.state.points import Points
from tests.properties import examples


def points(values: list[float] | np.ndarray) -> Points:
    return Points.of_values(np.arange(len(values), dtype=np.float64), np.asarray(values, dtype=np.float64))


def slow_line(x: np.ndarray, y: np.ndarray, at: float, width: float) -> float:
    """The value at a place of the line that fits best there, by numpy's own least squares."""
    weight = np.exp(-0.25 * ((x - at) / width) ** 2)
    design = np.stack([np.ones_like(x), x - at], 1) * weight[:, None]
    return float(np.linalg.lstsq(design, y * weight, rcond=None)[0][0])


@examples(40)
@given(st.floats(-5, 5), st.floats(-100, 100), st.integers(5, 900), st.floats(1, 50))
def test_the_trend_of_a_straight_line_is_that_line_up_to_both_ends(
    slope: float, begin: float, count: int, width: float
) -> None:
    found = trend(points(begin + slope * np.arange(count)), width)
    middles = found.x if count <= MAX_POINTS else found.x - (found.counts - 1) / 2
    # Buckets of one value more than others move their middles by half a step.
    slack = 1e-6 * (abs(begin) + abs(slope) * count + 1) + (0.5 * abs(slope) if count > MAX_POINTS else 0)
    assert found.mean == pytest.approx(begin + slope * middles, abs=slack)


def test_the_trend_is_the_weighted_least_squares_line_at_each_point() -> None:
    x = np.arange(60, dtype=np.float64)
    y = np.random.default_rng(0).normal(size=60) + np.sin(x / 7)
    found = trend(points(y), 4.0)
    assert found.mean == pytest.approx([slow_line(x, y, at, 4.0) for at in x], abs=1e-9)


def test_a_falling_curve_is_not_overtaken_by_its_trend() -> None:
    """An exponential mean of a falling loss lies above all of it; the mean distance of this one is next to nothing."""
    noise = np.random.default_rng(1).normal(0, 0.1, 5000)
    curve = 2 + 3 * np.exp(-np.arange(5000) / 1500)
    found = trend(points(curve + noise), 0.02 * 5000)
    ideal = np.interp(found.x - (found.counts - 1) / 2, np.arange(5000), curve)
    assert abs(float(np.mean(found.mean - ideal))) < 0.01
    assert abs(found.mean[-1] - ideal[-1]) < 0.06


def test_a_gap_stays_a_gap_and_does_not_spread() -> None:
    values = [1.0] * 50 + [math.nan] * 10 + [1.0] * 50
    found = trend(points(values), 5.0)
    assert np.flatnonzero(np.isnan(found.mean)).tolist() == list(range(50, 60))
    assert np.nanmax(np.abs(found.mean - 1)) < 1e-9


def test_a_curve_of_few_values_is_not_smoothed_unasked() -> None:
    assert usual_level(199) == 0
    assert usual_level(200) > 0


def test_one_point_is_its_own_trend() -> None:
    assert trend(points([3.0]), 1.0).mean.tolist() == [3.0]
