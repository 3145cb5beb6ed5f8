import math

import pytest

from claf_tui.charts.plot import ChartLine, ChartOptions, Scene, plot
from claf_tui.charts.view import View
from claf_tui.state.series import Series


def series(values: list[float]) -> Series:
    found = Series()
    for number, value in enumerate(values):
        found = found.append(number, value)
    return found


def cells(curves: dict[str, list[float]], view: View = View()) -> dict[str, list[tuple[int, int]]]:  # noqa: B008 (frozen)
    """Row and column of each letter in the plot."""
    lines = [ChartLine(tag, "#56b4e9", series(values), tag=tag) for tag, values in curves.items()]
    rows = plot(lines, 60, 14, ChartOptions(), Scene(view)).rows[1:-2]
    texts = ["".join(text for text, _ in row) for row in rows]
    return {
        tag: [(number, column) for number, text in enumerate(texts) for column, char in enumerate(text) if char == tag]
        for tag in curves
    }


def test_a_curve_with_a_letter_shows_it_where_it_ends() -> None:
    found = cells({"A": [1.0, 2.0, 3.0], "B": [3.0, 2.0, 1.0]})
    ((top, right),), ((bottom, also_right),) = found["A"], found["B"]
    assert top < bottom
    assert right == also_right == 59


@pytest.mark.parametrize("count", [2, 3, 4])
def test_letters_of_curves_that_end_in_one_place_stand_beside_each_other(count: int) -> None:
    found = cells({tag: [1.0, 2.0, 1.5] for tag in "ABCD"[:count]})
    assert [len(places) for places in found.values()] == [1] * count


def test_the_letter_stands_at_the_last_value_that_is_seen() -> None:
    ((_, whole),) = cells({"A": [1.0, 2.0, 1.0, math.nan]})["A"]
    assert whole < 59
    ((_, zoomed),) = cells({"A": [float(number % 7) for number in range(50)]}, View(span=10, end=20))["A"]
    assert zoomed > 50
