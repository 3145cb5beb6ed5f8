import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from claf_tui.state.points import Points, gathered, nearest, within, without_extremes
from tests.properties import examples

values = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=1, max_size=400)


def points(ys: list[float]) -> Points:
    return Points.of_values(np.arange(len(ys), dtype=np.float64), np.array(ys))


@examples(80)
@given(values, st.integers(1, 50))
def test_gathering_loses_no_peak_no_gap_and_no_value(ys: list[float], most: int) -> None:
    found = gathered(points(ys), most)
    finite = [y for y in ys if y == y]
    assert len(found) <= max(most, 1)
    assert found.counts.sum() == len(ys)
    if finite:
        assert np.nanmax(found.high) == max(finite)
        assert np.nanmin(found.low) == min(finite)
    assert np.isnan(found.mean).any() == (len(finite) < len(ys))
    assert found.x[-1] == len(ys) - 1


def test_what_is_in_view_keeps_a_neighbour_on_either_side() -> None:
    assert within(points([0.0] * 10), 3, 5).x.tolist() == [2, 3, 4, 5, 6]
    assert within(points([0.0] * 10), 3.5, 3.6).x.tolist() == [3, 4]


def test_the_nearest_point_is_found_and_none_beyond_the_ends() -> None:
    three = points([5.0, 6.0, 7.0])
    assert [nearest(three, x) for x in (0.0, 0.4, 0.6, 2.0)] == [0, 0, 1, 2]
    assert nearest(three, -0.1) is None
    assert nearest(three, 2.1) is None
    assert nearest(points([0.0]).at(slice(0, 0)), 0.0) is None


def test_values_that_no_axis_can_show_become_gaps() -> None:
    cleaned = without_extremes(points([1.0, 1e40, 0.0]), is_log=True)
    assert np.isnan(cleaned.mean).tolist() == [False, True, True]
    assert np.isnan(without_extremes(points([1.0, 1e40, 0.0]), is_log=False).mean).tolist() == [False, True, False]
