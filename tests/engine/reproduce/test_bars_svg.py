from xml.etree import ElementTree

from claf_engine.reproduce.bars_svg import Bar, Group, bar_chart

SVG = "{http://www.w3.org/2000/svg}"
GROUPS = [
    Group("Natural", (Bar("natural", 0.95, 0.955), Bar("PGD-10 at 8/255", 0.0, 0.0))),
    Group("CLAF <b>", (Bar("natural", None, 0.924), Bar("PGD-10 at 8/255", 0.5, None))),
]


def drawn(groups: list[Group], title: str = "table1") -> ElementTree.Element:
    return ElementTree.fromstring(bar_chart(title, groups))


def bars(root: ElementTree.Element) -> list[ElementTree.Element]:
    """The bars that stand for figures; the squares of the legend have no hint."""
    return [item for item in root.iter(f"{SVG}rect") if item.find(f"{SVG}title") is not None]


def test_every_known_figure_is_a_bar_of_its_height() -> None:
    heights = [float(bar.attrib["height"]) for bar in bars(drawn(GROUPS))]
    assert heights == [247.0, 0.0, 130.0]


def test_every_figure_of_the_paper_is_a_line_across() -> None:
    lines = [item for item in drawn(GROUPS).iter(f"{SVG}line") if item.attrib["class"] == "paper"]
    assert len(lines) == 3 + 1


def test_bars_do_not_overlap() -> None:
    edges = [(float(bar.attrib["x"]), float(bar.attrib["width"])) for bar in bars(drawn(GROUPS))]
    assert all(x + width <= following for (x, width), (following, _) in zip(edges, edges[1:], strict=False))


def test_labels_are_text_and_never_markup() -> None:
    texts = [item.text for item in drawn(GROUPS, "a < b & c").iter(f"{SVG}text")]
    assert "CLAF <b>" in texts
    assert "a < b & c" in texts


def test_it_has_a_light_and_a_dark_theme() -> None:
    text = bar_chart("x", GROUPS)
    assert "prefers-color-scheme: dark" in text


def test_a_table_without_rows_can_be_drawn() -> None:
    assert bars(drawn([])) == []


def test_many_groups_stand_in_lines_of_about_the_same_length_below_each_other() -> None:
    root = drawn([Group(f"row {number}", GROUPS[0].bars) for number in range(25)])
    below = list(root.iter(f"{SVG}g"))
    assert len(below) == 3
    labels = [[item.text for item in line.iter(f"{SVG}text") if item.get("class") == "label"] for line in below]
    assert labels == [[f"row {number}" for number in range(begin, min(begin + 7, 25))] for begin in (7, 14, 21)]
    assert len(bars(root)) == 50
    height, last = float(root.attrib["height"]), below[-1].attrib["transform"]
    assert height == 78 + 4 * 312
    assert last == f"translate(0 {3 * 312})"
