from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_tui.state.moment import Moment
from claf_tui.widgets.phase_strip import strip_lines
from claf_tui.words import figures
from tests.tui.scripted_methods import METHODS, played
from tests.tui.widgets.folded import fold, plain


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("width", [80, 140])
def test_every_phase_of_every_method_is_named_by_its_title(tmp_path: Path, method: str, width: int) -> None:
    state = fold(list(played(tmp_path, method))[:-2])
    lines = plain(strip_lines(state, Moment("RUNNING"), width, is_compact=False))
    assert all(len(line) <= width for line in lines)
    for line, part in zip(lines, METHODS[method], strict=False):
        assert part.title in line


@pytest.mark.parametrize("method", METHODS)
def test_in_one_line_at_80_columns_the_active_phase_keeps_its_name_and_epochs(tmp_path: Path, method: str) -> None:
    part = METHODS[method][0]
    row = plain(strip_lines(fold(list(played(tmp_path, method))[:3]), Moment("RUNNING"), 80, is_compact=True))[0]
    assert len(row) <= 80
    assert part.title in row or part.name in row
    assert "1/4" in row


def test_a_method_of_one_phase_is_named_by_its_title_in_one_line(tmp_path: Path) -> None:
    row = plain(strip_lines(fold(list(played(tmp_path, "trades"))[:3]), Moment("RUNNING"), 80, is_compact=True))[0]
    assert row == " ▶ TRADES 1/4  ○ test evaluation "


def test_a_phase_that_was_cut_short_does_not_look_done(tmp_path: Path) -> None:
    state = fold(played(tmp_path, "fgsm", is_collapsing=True))
    line = plain(strip_lines(state, Moment("FINISHED"), 140, is_compact=False))[0]
    assert line.startswith(" ■ fast adversarial training")
    assert "2/4" in line
    assert "100%" not in line


@pytest.mark.parametrize(("width", "is_told"), [(80, True), (140, True), (50, False)])
def test_a_busy_machine_is_said_beside_the_times_where_there_is_room(tmp_path: Path, width: int, is_told: bool) -> None:
    progress = ev.Progressed.of_activity("PGD-10 at 8/255", 0.5)
    begun = list(islice(played(tmp_path, "at"), 4))
    state = fold([*begun, replace(progress, waited=0.4)])
    lines = plain(strip_lines(state, Moment("RUNNING"), width, is_compact=True))
    assert any("busy machine: 40% of the time without a core" in line for line in lines) is is_told
    assert all(len(line) <= width for line in lines)
    idle = plain(strip_lines(fold([*begun, progress]), Moment("RUNNING"), width, is_compact=True))
    assert not any("busy" in line for line in idle)


NOW = 1_800_000_000.0
DAY_AND_MORE = 94_000.0


def times_at(folder: Path, word: str, remaining: float | None) -> list[str]:
    """What the lines of the active phase and of the whole run say of the time left."""
    progress = replace(ev.Progressed.of_activity("PGD-10", 0.5), phase_remaining=remaining, run_remaining=remaining)
    state = fold([*islice(played(folder, "at"), 4), progress])
    lines = plain(strip_lines(state, Moment(word, now=NOW), 120, is_compact=False))
    return [line.rsplit("  ", 1)[-1].strip() for line in lines if "▶" in line or "whole run" in line]


def test_what_is_left_for_long_is_told_by_the_clock(tmp_path: Path) -> None:
    assert times_at(tmp_path, "RUNNING", DAY_AND_MORE) == [figures.end_time(DAY_AND_MORE, NOW)] * 2


def test_what_is_left_of_a_run_that_waits_is_a_duration(tmp_path: Path) -> None:
    assert times_at(tmp_path, "PAUSED", DAY_AND_MORE) == ["~1d 02h left"] * 2


def test_an_estimate_that_is_not_worth_anything_yet_is_named_as_such(tmp_path: Path) -> None:
    assert times_at(tmp_path, "RUNNING", None) == ["calibrating"] * 2


@pytest.mark.parametrize("width", [80, 100, 140, 200])
def test_the_longest_end_fits_every_width(tmp_path: Path, width: int) -> None:
    progress = replace(ev.Progressed.of_activity("x", 0.5), elapsed=2e6, phase_remaining=2e6, run_remaining=2e6)
    state = fold([*islice(played(tmp_path, "at"), 4), progress])
    for is_compact in (True, False):
        lines = plain(strip_lines(state, Moment("RUNNING", now=NOW), width, is_compact=is_compact))
        assert any(figures.end_time(2e6, NOW) in line for line in lines)
        assert all(len(line) <= width for line in lines)
