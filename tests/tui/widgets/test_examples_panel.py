import numpy as np
import pytest
from textual.content import Content

from claf_tui.state.album import BROKEN, SURVIVES, UNKNOWN, WRONG
from claf_tui.widgets.drawn_lines import Line
from claf_tui.widgets.examples_panel import (
    Layout,
    best_width,
    example_lines,
    fitting_amplification,
    layout_of,
    reason_lines,
    trend_of,
    words_of,
)
from tests.tui.widgets.pages import page_of, with_change


def text_of(line: Line) -> str:
    return "".join(part.plain if isinstance(part, Content) else "".join(each.text for each in part) for part in line)


@pytest.mark.parametrize(("width", "height"), [(78, 19), (98, 23), (99, 40), (125, 55), (60, 12)])
def test_two_images_at_least_fit_beside_their_words(width: int, height: int) -> None:
    page = page_of()
    layout = layout_of(page, width, height)
    lines = example_lines(page, range(layout.num_seen), layout, 16, width)
    assert layout.num_seen >= 2
    assert len(lines) - 1 <= height
    texts = [text_of(line) for line in lines]
    assert all(len(text) <= width for text in texts)
    assert sum(text.count("▀") for text in texts) == layout.num_seen * layout.height * layout.width * 3


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(125, 55, (32, 16)), (78, 19, (16, 8)), (98, 23, (20, 10)), (40, 8, (8, 4))]
)
def test_pictures_are_as_large_as_there_is_room(width: int, height: int, expected: tuple[int, int]) -> None:
    layout = layout_of(page_of(), width, height)
    assert (layout.width, layout.height) == expected


@pytest.mark.parametrize("side", [(32, 32), (32, 16), (16, 32), (8, 8), (1, 32), (32, 1)])
def test_pictures_keep_their_shape(side: tuple[int, int]) -> None:
    layout = layout_of(page_of(side=side), 125, 55)
    assert layout.width / (2 * layout.height) == pytest.approx(side[1] / side[0], abs=0.1) or min(side) == 1
    assert layout.width >= 1


def test_the_panel_wants_no_more_width_than_its_pictures_and_words() -> None:
    assert best_width(page_of(), 55, 160) < 140
    assert best_width(page_of(), 55, 60) <= 60


def test_an_image_that_an_attack_breaks_says_what_it_was_and_what_it_is_taken_for() -> None:
    page = page_of((1.0,))
    broken = int(np.flatnonzero(page.fates[:8] == BROKEN)[0])
    words = [line.plain for line in words_of(page, broken, 8, 24)]
    label = page.name(int(page.clean.labels[broken]))
    taken_for = page.name(int(page.probed.after.classes[broken]))
    assert words[0] == f"✘ {label}"
    assert words[2].split()[:2] == ["before", label]
    assert words[3].split()[:2] == ["after", taken_for]
    assert words[3].endswith("%")
    assert words[4] == "broken by the attack"


def test_low_pictures_have_the_main_words_beside_them() -> None:
    words = [line.plain for line in words_of(page_of(), 0, 4, 24)]
    assert [word.split()[0] for word in words[:3]] == ["✔", "before", "after"]
    assert set(words[3]) <= set("✔✘·")


@pytest.mark.parametrize("height", [4, 5, 6, 7, 8, 16])
@pytest.mark.parametrize("width", [1, 8, 20, 40])
def test_words_stay_within_their_place(width: int, height: int) -> None:
    page = page_of(names=("a class with a very long name", "x", "ü"))
    for index in range(3):
        words = words_of(page, index, height, width)
        assert len(words) <= height
        assert all(line.cell_length <= width for line in words)


def test_figures_stand_below_each_other() -> None:
    page = page_of((1.0,), names=("disc", "a ring", "square"))
    for index in range(8):
        before, after = (line.plain for line in words_of(page, index, 8, 30)[2:4])
        assert before.index(" %") == after.index(" %")


def test_a_name_from_elsewhere_is_shown_as_text() -> None:
    page = page_of(names=("[bold red]x", "[/]", "$text"))
    assert "[bold red]x" in words_of(page, 0, 8, 40)[0].plain


def test_the_trend_marks_the_probe_that_is_shown() -> None:
    history = np.array([WRONG, BROKEN, SURVIVES, UNKNOWN, SURVIVES], np.int8)
    trend = trend_of(history, 1, 20)
    assert trend.plain == "·✘✔ ✔"
    assert [trend.plain[span.start : span.end] for span in trend.spans if "reverse" in str(span.style)] == ["✘"]


@pytest.mark.parametrize("column", [0, 1, 30, 59])
def test_a_trend_with_more_probes_than_room_keeps_the_one_that_is_shown(column: int) -> None:
    history = np.full(60, BROKEN, np.int8)
    history[column] = SURVIVES
    trend = trend_of(history, column, 12)
    assert len(trend.plain) == 12
    assert trend.plain.count("✔") == 1


@pytest.mark.parametrize(("levels", "expected"), [(8, 16), (16, 8), (4, 32), (1, 32), (200, 1), (0, 32)])
def test_the_change_is_shown_so_strong_that_its_largest_level_is_seen_whole(levels: int, expected: int) -> None:
    page = with_change(page_of(), levels)
    largest = np.abs(page.probed.pictures.astype(int) - page.clean.pictures).max()
    assert fitting_amplification(page) == expected
    assert largest * expected <= 128 or expected == 1


def test_no_change_is_grey_and_a_change_of_nothing_stays_so_however_amplified() -> None:
    page = with_change(page_of(), 0)
    row = example_lines(page, range(1), Layout(8, 4, 1), 128, 60)[1]
    change = [part for part in row if isinstance(part, list)][1]
    assert {tuple(each.style.color.get_truecolor()) for each in change} == {(128, 128, 128)}  # type: ignore[union-attr]


def test_a_reason_stands_in_the_middle_and_is_wrapped() -> None:
    lines = [text_of(line) for line in reason_lines("no probe has kept examples yet", 20, 9)]
    assert lines[:3] == ["", "", ""]
    assert all(len(line) <= 20 for line in lines)
    assert " ".join(" ".join(lines).split()) == "no probe has kept examples yet"
