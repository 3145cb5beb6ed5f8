from dataclasses import replace

import pytest

from claf_tui.state.album import NoPage
from claf_tui.widgets.examples_bar import bar_lines, survival_bars
from tests.tui.hostile import EVERYTHING
from tests.tui.widgets.pages import page_of


@pytest.mark.parametrize("width", [20, 40, 80, 100, 140, 200])
def test_both_lines_fit(width: int) -> None:
    for page in (page_of(), NoPage("nothing")):
        lines = bar_lines(page, "20261124-demo-1a2b", width)
        assert len(lines) == 2
        assert all(line.cell_length <= width for line in lines)


def test_a_wide_head_tells_where_the_probe_stood_and_how_it_attacked() -> None:
    page = page_of(number=1)
    first, second = (line.plain for line in bar_lines(page, "demo", 140))
    assert first.split() == ["adversarial", "examples", "demo", "2", "of", "4"]
    assert f"{page.num_surviving} of 48 survive" in second
    told = "2 · adversarial features · epoch 10 · step 200 · attack classifier · PGD-10 at 8/255"
    assert second.rstrip().endswith(told)


def test_a_narrow_head_keeps_survivors_epoch_and_attack() -> None:
    _, second = bar_lines(page_of(), "demo", 80)
    assert all(word in second.plain for word in ("of 48 survive", "epoch 20", "PGD-10 at 8/255"))


def test_the_newest_probe_is_called_so() -> None:
    newest, before = (bar_lines(page_of(number=number), "demo", 140)[0].plain for number in (3, 2))
    assert "newest probe, 4 of 4" in newest
    assert "newest" not in before


def test_the_quick_fit_is_no_classifier_of_its_own() -> None:
    page = page_of()
    about = replace(page.probed.about, classifier="quick fit")
    quick = replace(page, probed=replace(page.probed, about=about))
    assert " · quick fit · " in bar_lines(quick, "demo", 140)[1].plain


def test_bars_grow_as_more_images_survive_and_end_at_the_probe_that_is_shown() -> None:
    bars = survival_bars(page_of())
    assert len(bars) == 4
    assert list(bars) == sorted(bars)
    assert bars[0] < bars[-1]
    assert survival_bars(page_of(number=1)) == bars[:2]


def test_words_of_a_file_are_made_safe() -> None:
    page = page_of()
    about = replace(page.probed.about, phase=EVERYTHING, classifier=EVERYTHING)
    hostile = replace(page, probed=replace(page.probed, about=about, attack=EVERYTHING))
    assert all(line.plain.isprintable() for line in bar_lines(hostile, EVERYTHING[:10], 300)[1:])
