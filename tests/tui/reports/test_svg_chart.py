import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from claf_tui.reports.svg_chart import (
    HEIGHT,
    LEFT,
    MAX_POINTS,
    RIGHT,
    WIDTH,
    SvgChart,
    SvgCurve,
    SvgMark,
    chart_svg,
    legend,
)
from claf_tui.state.points import Points


def curve(values: list[float], number: int = 0, name: str = "loss", tag: str = "") -> SvgCurve:
    x = np.arange(len(values), dtype=np.float64)
    return SvgCurve(name, number, Points.of_values(x, np.array(values, dtype=np.float64)), tag)


def drawn(*curves: SvgCurve, **options: object) -> ElementTree.Element:
    return ElementTree.fromstring(chart_svg(SvgChart("a & b", curves, **options)))  # type: ignore[arg-type]


def lines(svg: ElementTree.Element) -> list[list[tuple[float, float]]]:
    points = [element.attrib["points"].split() for element in svg.iter("polyline")]
    return [[tuple(map(float, pair.split(","))) for pair in each] for each in points]  # type: ignore[misc]


def test_a_curve_lies_inside_the_chart_from_edge_to_edge() -> None:
    (line,) = lines(drawn(curve([3.0, 1.0, 2.0])))
    assert (line[0][0], line[-1][0]) == (LEFT, WIDTH - RIGHT)
    assert line[1][1] > line[2][1] > line[0][1]
    assert all(0 <= y <= HEIGHT for _, y in line)


def test_values_that_are_not_finite_are_gaps_with_a_mark() -> None:
    svg = drawn(curve([1.0, 2.0, float("nan"), 3.0, 2.0]))
    assert [len(line) for line in lines(svg)] == [2, 2]
    assert "not finite" in ElementTree.tostring(svg, "unicode")


def test_a_value_alone_between_gaps_is_seen() -> None:
    svg = drawn(curve([float("nan"), 2.0, float("nan"), *[1.0] * 40]))
    assert len(list(svg.iter("circle"))) == 1


def test_a_long_curve_keeps_its_peaks_and_no_more_points_than_can_be_told_apart() -> None:
    values = [1.0] * 5000
    values[2500] = 9.0
    svg = drawn(curve(values))
    assert len(lines(svg)[0]) == MAX_POINTS
    assert "polygon" in ElementTree.tostring(svg, "unicode")


def test_shares_are_shown_from_0_to_100_percent() -> None:
    names = [element.text for element in drawn(curve([0.2, 0.3]), is_percent=True).iter("text")]
    assert {"0%", "100%"} <= set(names)


def test_values_of_many_sizes_are_drawn_on_a_logarithm() -> None:
    svg = drawn(curve([1e-4, 1e-2, 1.0]))
    assert svg.findtext("title") == "a & b, logarithmic"


def test_seconds_are_written_as_times() -> None:
    x = np.array([0.0, 7200.0])
    svg = drawn(SvgCurve("loss", 0, Points.of_values(x, x)), is_clock=True)
    assert any(element.text == "1:00h" for element in svg.iter("text"))


def test_marks_and_letters_are_written_and_escaped() -> None:
    svg = drawn(curve([1.0, 2.0], tag="B"), marks=(SvgMark(1.0, "edit", "<b>"), SvgMark(99.0, "edit", "outside")))
    text = ElementTree.tostring(svg, "unicode")
    assert "&lt;b&gt;" in text
    assert "outside" not in text
    assert any(element.text == "B" for element in svg.iter("text"))


@pytest.mark.parametrize("curves", [(), (curve([]),)])
def test_without_a_point_there_is_no_chart(curves: tuple[SvgCurve, ...]) -> None:
    assert chart_svg(SvgChart("a", curves)) == ""


def test_a_single_point_is_a_chart() -> None:
    assert len(list(drawn(curve([0.5])).iter("circle"))) == 1


def test_the_legend_names_each_curve_once_with_its_last_value() -> None:
    text = legend([curve([0.1, 0.2]), curve([0.1, 0.3])], is_percent=True)
    assert text.count("loss") == 1
    assert "30.0%" in text
