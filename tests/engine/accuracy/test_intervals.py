import pytest
from scipy.stats import binomtest

from claf_engine.accuracy.intervals import difference_interval, half_width, wilson


@pytest.mark.parametrize(
    ("successes", "count"), [(0, 1), (1, 1), (0, 100), (50, 100), (100, 100), (3, 7), (9999, 10_000)]
)
def test_the_interval_is_that_of_scipy(successes: int, count: int) -> None:
    expected = binomtest(successes, count).proportion_ci(0.95, method="wilson")
    assert wilson(successes, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_more_examples_make_it_narrower() -> None:
    widths = [high - low for low, high in (wilson(count // 2, count) for count in (10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("successes", "count"), [(0, 0), (2, 1), (-1, 5)])
def test_what_is_no_proportion_is_refused(successes: int, count: int) -> None:
    with pytest.raises(ValueError, match="is no proportion"):
        wilson(successes, count)


def test_the_interval_of_a_difference_is_that_of_newcombe() -> None:
    """Newcombe 1998, table II: 56/70 against 48/80 by method 10."""
    assert difference_interval(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_the_interval_of_a_difference_turns_with_its_sides() -> None:
    low, high = difference_interval(30, 50, 20, 60)
    assert difference_interval(20, 60, 30, 50) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("successes", "other"), [(0, 10), (10, 0), (0, 0), (10, 10)])
def test_no_difference_is_larger_than_one(successes: int, other: int) -> None:
    low, high = difference_interval(successes, 10, other, 10)
    assert -1 <= low <= (successes - other) / 10 <= high <= 1


def test_half_a_width_is_that_of_the_score_interval() -> None:
    low, high = wilson(310, 1000)
    assert half_width(0.31, 1000) == (high - low) / 2
    with pytest.raises(ValueError, match="no proportion"):
        half_width(0.0, 0)
