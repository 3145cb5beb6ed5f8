import pytest
from scipy.stats import binomtest

from claf_engine.accuracy.intervals import wilson


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
