from xml.etree import ElementTree

from results.charts import BOTTOM, HEIGHT, LINE_HEIGHT, Mark, Series, frontier, line_chart, scatter_chart, spread, ticks

SVG = "{http://www.w3.org/2000/svg}"
FALLING = Series("AT <b>", ((0.0, 0.6), (8.0, 0.3), (16.0, 0.1)))


def mark(label: str, cost: float, share: float) -> Mark:
    return Mark(label, cost, share, share - 0.02, share + 0.02)


def items(text: str, kind: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(text).iter(f"{SVG}{kind}"))


def test_a_curve_falls_where_its_accuracy_does() -> None:
    (line,) = items(line_chart("title", "epsilon", "accuracy", [FALLING]), "polyline")
    places = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    (x0, y0), (x1, y1), (x2, y2) = places
    assert x1 - x0 == x2 - x1, "the axis is linear"
    assert abs((y1 - y0) / (y2 - y0) - 0.3 / 0.5) < 0.01


def test_labels_are_text_and_never_markup() -> None:
    texts = [item.text for item in items(line_chart("a < b & c", "x", "y", [FALLING]), "text")]
    assert {"AT <b>", "a < b & c"} <= set(texts)


def test_labels_keep_apart_and_in_the_chart() -> None:
    placed = spread([200.0, 201.0, 202.0, 380.0])
    assert placed == sorted(placed)
    assert all(after - before >= LINE_HEIGHT for before, after in zip(placed, placed[1:], strict=False))
    crowded = spread([HEIGHT - BOTTOM] * 5)
    assert max(crowded) <= HEIGHT - BOTTOM + 1e-9
    assert sorted(crowded)[0] == HEIGHT - BOTTOM - 4 * LINE_HEIGHT


def test_the_frontier_is_of_marks_that_none_as_cheap_reaches() -> None:
    marks = [mark("dear", 30, 0.4), mark("cheap", 10, 0.2), mark("dominated", 20, 0.1), mark("worse twin", 10, 0.15)]
    assert [each.label for each in frontier(marks)] == ["cheap", "dear"]


def test_a_tie_in_cost_and_accuracy_has_one_on_the_frontier() -> None:
    assert [each.label for each in frontier([mark("b", 10, 0.2), mark("a", 10, 0.2)])] == ["a"]


def test_marks_lie_within_the_chart_however_close_or_far_their_costs_are() -> None:
    for costs in ((300, 305, 310), (1, 1000), (7, 7), (0.5, 2)):
        circles = items(scatter_chart("t", "x", "y", [mark(str(cost), cost, 0.3) for cost in costs]), "circle")
        assert all(64 <= float(circle.attrib["cx"]) <= 760 - 186 for circle in circles), costs


def test_ticks_are_few_round_numbers() -> None:
    assert ticks(0, 16) == list(range(0, 17, 2))
    assert ticks(0, 3) == [0, 1, 2, 3]
    assert ticks(290, 320) == [290, 295, 300, 305, 310, 315, 320]
    assert all(len(ticks(0, right)) <= 9 for right in range(1, 2000))


def test_an_axis_that_does_not_begin_at_nothing_says_so() -> None:
    far, near = (scatter_chart("t", "units", "y", [mark("a", cost, 0.3), mark("b", 310, 0.3)]) for cost in (300, 10))
    assert "units; the axis begins at 296" in far
    assert "begins at" not in near
