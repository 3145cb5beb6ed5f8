from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.runs.header import read_info
from claf_tui.state.outcome import BestEpoch, Earlier, Outcome
from claf_tui.widgets.outcome import earlier_text, outcome_lines, shown_path
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted import write_checkpoint
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
    caption = plain(outcome_lines(state, width, outcome=Outcome("unaudited")))[0]
    assert "accuracy on test images · unaudited: u audits it" in caption
    assert "· audit fails: V shows its card" in plain(outcome_lines(state, width, outcome=Outcome("audit fails")))[0]


BEST = BestEpoch(1200, 30, "2 · adversarial features", "attack", 0.535, "8/255")
EARLIER = Earlier("20261123-090000-claf", "8/255", 0.012, (-0.003, 0.027), ("attack.steps was 5, is 10",))


def facts(tmp_path: Path, width: int, outcome: Outcome) -> list[str]:
    return [line.strip() for line in plain(outcome_lines(fold(played(tmp_path, "at")), width, outcome=outcome))]


def test_the_best_epoch_is_named_with_its_figure(tmp_path: Path) -> None:
    lines = facts(tmp_path, 138, Outcome(best=BEST))
    expected = "epoch 30 of 2 · adversarial features (step 1,200): robust 8/255 53.5% on validation images"
    assert f"best    {expected}" in lines


def test_a_best_epoch_that_a_stronger_attack_chose_says_so(tmp_path: Path) -> None:
    lines = facts(tmp_path, 178, Outcome(best=replace(BEST, is_stronger=True)))
    assert any(line.endswith("robust 8/255 53.5% on validation images under the stronger attack") for line in lines)


def test_the_run_before_is_named_with_the_difference_its_noise_and_the_settings_that_changed(tmp_path: Path) -> None:
    (line,) = [line for line in facts(tmp_path, 178, Outcome(earlier=EARLIER)) if line.startswith("before")]
    assert "+1.2 points at 8/255, within noise (-0.3 to +2.7) against 20261123-090000-claf" in line
    assert line.endswith("attack.steps was 5, is 10")


@pytest.mark.parametrize(
    ("changes", "words"),
    [(None, "cannot be read"), ((), "same settings"), (("a", "b", "c", "d"), "a; b and 2 more")],
)
def test_what_differs_from_the_run_before_is_said_in_few_words(changes: tuple[str, ...] | None, words: str) -> None:
    assert words in earlier_text(replace(EARLIER, changes=changes)).plain


@pytest.mark.parametrize(
    ("interval", "noise"), [((-0.01, 0.03), "within"), ((0.001, 0.03), "beyond"), ((-0.03, -0.001), "beyond")]
)
def test_a_difference_is_beyond_noise_where_its_interval_leaves_zero_out(
    interval: tuple[float, float], noise: str
) -> None:
    assert f"{noise} noise" in earlier_text(replace(EARLIER, interval=interval)).plain


@pytest.mark.parametrize("width", [20, 78, 98, 198])
def test_facts_are_wrapped_whole(tmp_path: Path, width: int) -> None:
    info = read_info(write_checkpoint(tmp_path / ("long" * 30), 300))
    outcome = Outcome("unaudited", info, BEST, replace(EARLIER, run=EVERYTHING))
    lines = plain(outcome_lines(fold(played(tmp_path, "at")), width, outcome=outcome))
    assert all(line.isprintable() for line in lines)
    if width > 40:
        assert all(len(line) <= width for line in lines)
    assert info.path.name in "".join(line.strip() for line in lines)


def test_a_path_is_shown_from_the_working_folder_where_that_is_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "runs" / "a b") == "'runs/a b'"
    assert shown_path(Path("/x")) == "/x"
