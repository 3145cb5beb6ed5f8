from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_tui.widgets.outcome import outcome_lines
from tests.tui.scripted_methods import METHODS, played, released_code, results
from tests.tui.widgets.folded import fold, plain

WARNING = "! released-code: not an ε-ball, moved up to 115/255"


@pytest.mark.parametrize("method", METHODS)
def test_the_outcome_lists_every_candidate_with_one_star(tmp_path: Path, method: str) -> None:
    lines = plain(outcome_lines(fold(played(tmp_path, method)), 78))
    table = [line for line in lines if "61.8%" in line]
    assert len(table) == len(results(method))
    assert sum(line.startswith(" ★") for line in table) == 1
    assert all("41.0%" in line for line in table)


def test_the_outcome_warns_at_80_columns_of_figures_without_a_ball(tmp_path: Path) -> None:
    *events, finished = played(tmp_path, "claf")
    assert isinstance(finished, ev.RunFinished)
    outside = tuple(
        replace(result, robust=tuple(released_code(item) for item in result.robust)) for result in finished.results
    )
    lines = plain(outcome_lines(fold([*events, replace(finished, results=outside)]), 78))
    assert WARNING in [line.strip() for line in lines]
    head = next(line for line in lines if "checkpoint" in line)
    assert "8/255 (no ball)" in head
    assert "16/255 (no ball)" in head


def test_the_outcome_says_which_figures_cannot_be_right(tmp_path: Path) -> None:
    *events, finished = played(tmp_path, "at")
    assert isinstance(finished, ev.RunFinished)
    notice = "from 16/255 on the attack may be too weak"
    doubted = tuple(
        replace(
            result,
            robust=tuple(replace(item, notice=notice) if item.epsilon == "16/255" else item for item in result.robust),
        )
        for result in finished.results
    )
    lines = plain(outcome_lines(fold([*events, replace(finished, results=doubted)]), 78))
    assert f"! {notice}" in [line.strip() for line in lines]
    head = next(line for line in lines if "checkpoint" in line)
    assert "16/255 !" in head
    assert "8/255 !" not in head.replace("16/255 !", "")
    assert "!" not in "".join(plain(outcome_lines(fold([*events, finished]), 78)))


def test_a_long_reason_of_the_choice_takes_a_line_of_its_own(tmp_path: Path) -> None:
    *events, finished = played(tmp_path, "at")
    assert isinstance(finished, ev.RunFinished)
    chosen = "validation robust accuracy at 8/255 (released-code, no ball)"
    lines = plain(outcome_lines(fold([*events, replace(finished, selected_on=chosen)]), 78))
    assert f"★ chosen by {chosen}" in [line.strip() for line in lines]


def test_the_next_command_names_the_run_where_it_need_not_be_the_latest(tmp_path: Path) -> None:
    state = fold(played(tmp_path, "at"))
    assert "claf-tui eval latest" in plain(outcome_lines(state, 78))[-1]
    assert "claf-tui eval other --eps 16/255" in plain(outcome_lines(state, 78, "other"))[-1]


@pytest.mark.parametrize("width", [78, 138])
def test_the_outcome_says_what_its_accuracies_rest_on(tmp_path: Path, width: int) -> None:
    state = fold(played(tmp_path, "at"))
    caption = plain(outcome_lines(state, width, standing="unaudited"))[0]
    assert "accuracy on test images · unaudited: b, then a audits" in caption
    assert "· audit fails" in plain(outcome_lines(state, width, standing="audit fails"))[0]
