from dataclasses import replace

import numpy as np
import pytest
from textual.content import Content

from claf_engine.runs.examples import ProbedExamples
from claf_tui.state.album import Page
from claf_tui.widgets.embedding_panel import (
    MANY,
    SURVIVOR,
    VICTIM,
    class_color,
    embedding_lines,
    figure_lines,
    legend_lines,
    letters_of,
    map_cells,
)
from tests.tui.widgets.pages import page_of


def texts(page: Page, width: int, height: int) -> list[str]:
    lines = embedding_lines(page, width, height)
    return ["".join(part.plain for part in line if isinstance(part, Content)) for line in lines]


@pytest.mark.parametrize(("width", "height"), [(36, 38), (70, 53), (78, 19), (98, 23), (10, 4), (1, 1)])
def test_map_and_legend_fill_their_place_and_no_more(width: int, height: int) -> None:
    drawn = texts(page_of(), width, height)
    assert len(drawn) == height
    assert all(len(line) <= width for line in drawn) or width < 10


def test_classes_are_called_by_their_first_letters_where_those_differ() -> None:
    assert letters_of(("disc", "ring", "square"), 3) == ["D", "R", "S"]
    assert letters_of(("airplane", "automobile", "bird"), 3) == ["A", "B", "C"]
    assert letters_of(("1", "2"), 2) == ["A", "B"]
    assert letters_of((), 60)[52:] == [MANY] * 8
    assert letters_of((), 52)[-1] == "z"


def test_every_letter_of_the_map_is_in_the_legend() -> None:
    page = page_of()
    shown = {cell.text for cell in map_cells(page, 70, 40).values() if cell.text.isalpha()}
    legend = "".join(line.plain for line in legend_lines(page, 70))
    assert shown == {"D", "R", "S"}
    assert all(f"{letter} " in legend for letter in shown)


def test_letters_and_their_lines_have_the_colour_of_the_class() -> None:
    page = page_of()
    cells = map_cells(page, 70, 40).values()
    for label, letter in enumerate("DRS"):
        styles = {cell.style for cell in cells if cell.text == letter}
        assert styles == {f"bold {class_color(label)}"}


def test_an_attacked_image_has_the_colour_of_what_it_is_taken_for() -> None:
    page = single(page_of((1.0,)), answer=2)
    ends = [cell for cell in map_cells(page, 70, 40).values() if cell.text in {SURVIVOR, VICTIM}]
    assert [(cell.text, cell.style) for cell in ends] == [(VICTIM, class_color(2))]
    stands = single(page_of((1.0,)), answer=0)
    ends = [cell for cell in map_cells(stands, 70, 40).values() if cell.text in {SURVIVOR, VICTIM}]
    assert [(cell.text, cell.style) for cell in ends] == [(SURVIVOR, class_color(0))]


def single(page: Page, answer: int) -> Page:
    """A page that watches one image, of class 0, which the attack moves far."""
    features = np.zeros((1, 4), np.float32)
    before = replace(page.probed.before, classes=np.array([0]), confidences=np.ones(1), features=features)
    after = replace(before, classes=np.array([answer]), features=features + 1)
    probed = replace(page.probed, before=before, after=after)
    clean = replace(page.clean, pictures=page.clean.pictures[:1], labels=np.array([0]))
    return replace(page, clean=clean, probed=probed, newest=probed, oldest=probed, history=page.history[:1])


def test_a_line_leads_from_the_letter_to_where_the_attack_moves_the_image() -> None:
    cells = map_cells(single(page_of((1.0,)), answer=2), 40, 20)
    (start,) = [place for place, cell in cells.items() if cell.text == "D"]
    (end,) = [place for place, cell in cells.items() if cell.text == VICTIM]
    between = [place for place, cell in cells.items() if 0x2800 < ord(cell.text) < 0x2900]
    assert np.hypot(*np.subtract(start, end)) > 15
    assert len(between) > 10
    for row, column in between:
        assert min(start[0], end[0]) <= row <= max(start[0], end[0])
        assert min(start[1], end[1]) <= column <= max(start[1], end[1])


def letters_at(page: Page) -> set[tuple[int, int]]:
    return {place for place, cell in map_cells(page, 70, 40).items() if cell.text.isalpha()}


def test_directions_and_scale_are_those_of_the_newest_probe_at_every_probe() -> None:
    first, newest = page_of(number=0), page_of(number=3)
    assert letters_at(first) != letters_at(newest)
    same = replace(first, probed=newest.probed)
    assert letters_at(same) == letters_at(newest)


def far_away(probed: ProbedExamples) -> ProbedExamples:
    return replace(probed, after=replace(probed.after, features=probed.after.features * 1000))


def test_what_lies_outside_the_map_is_drawn_at_its_edge() -> None:
    page = page_of()
    cells = map_cells(replace(page, probed=far_away(page.probed)), 30, 10)
    assert all(0 <= row < 10 and 0 <= column < 30 for row, column in cells)
    ends = [place for place, cell in cells.items() if cell.text in {SURVIVOR, VICTIM}]
    assert any(row in {0, 9} or column in {0, 29} for row, column in ends)


def test_the_figure_compares_with_the_first_probe() -> None:
    (line,) = figure_lines(page_of(), 120)
    assert line.plain.startswith(" the attack moves features 0.")
    assert line.plain.endswith("at step 100)")
    (line,) = figure_lines(page_of(number=0), 120)
    assert "step" not in line.plain
