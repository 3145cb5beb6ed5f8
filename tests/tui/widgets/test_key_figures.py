from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_tui.state import RunState
from claf_tui.state.moment import Moment
from claf_tui.widgets.key_figures import accuracy_line, caveat_line, machine_line, work_line
from tests.tui.scripted import robust_figure
from tests.tui.scripted_methods import METHODS, played, probe, released_code
from tests.tui.widgets.folded import fold

ROBUST = (robust_figure("8/255", 0.618), robust_figure("16/255", 0.41))
OUTSIDE = probe(5, 0, "adversarial", robust=tuple(released_code(item) for item in ROBUST))


def probed(*probes: ev.ProbeFinished) -> RunState:
    return fold(probes)


def test_at_80_columns_a_figure_without_a_ball_is_not_called_robust() -> None:
    line = accuracy_line(probed(OUTSIDE), 80).plain
    assert "robust" not in line
    assert "released-code 8/255 61.8%" in line
    assert "released-code 16/255 41.0%" in line
    assert caveat_line(OUTSIDE, 80).plain.strip() == "! released-code: not an ε-ball, moved up to 115/255"


def test_at_80_columns_the_norm_is_named() -> None:
    of_l2 = probe(5, 0, "adversarial", robust=tuple(replace(item, norm="l2") for item in ROBUST))
    line = accuracy_line(probed(of_l2), 80).plain
    assert "robust L2 8/255 61.8%" in line
    assert "L2 16/255 41.0%" in line


def test_only_who_may_ask_for_a_probe_is_told_how() -> None:
    assert "p asks" in accuracy_line(RunState(), 80).plain
    assert accuracy_line(RunState(), 80, can_ask=False).plain.strip() == "no probe yet"


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_of_every_method_is_named(tmp_path: Path, method: str) -> None:
    line = machine_line(fold(played(tmp_path, method)), 140).plain
    names = {
        "claf": "SupCon",
        "scl": "SupCon",
        "rocl": "NT-Xent",
        "acl": "NT-Xent",
        "trades": "TRADES",
        "alp": "ALP",
        "clp": "CLP",
        "two-encoders": "two-encoder",
        "defense-gan": "critic",
        "pretext": "rotation",
    }
    assert f" {names.get(method, 'cross-entropy')} loss 0." in line


def test_at_80_columns_fast_training_shows_both_accuracies(tmp_path: Path) -> None:
    line = machine_line(fold(played(tmp_path, "fgsm")), 80).plain
    assert "one step 62.0%, PGD 41.0%" in line


def robust_at(step: int, accuracy: float) -> ev.ProbeFinished:
    return probe(step, 0, "attack", epoch=step, robust=(robust_figure("8/255", accuracy), robust_figure("16/255", 0.2)))


def test_the_latest_probe_is_told_against_the_best_and_its_checkpoint() -> None:
    saved = ev.CheckpointSaved(100, 0, "x", 1, ("best",), 0.1)
    state = fold([robust_at(100, 0.445), saved, robust_at(140, 0.343)])
    assert accuracy_line(state, 140).plain.startswith(
        " robust 8/255 34.3% ▼10.2 from best 44.5% (epoch 100 ★)  16/255 20.0%  natural 93.1% · pgd-10 on 256"
    )
    assert accuracy_line(state, 80).plain.startswith(
        " robust 8/255 34.3% ▼10.2 from 44.5% (ep 100 ★)  16/255 20.0%  natural 93.1%"
    )


def test_a_best_whose_checkpoint_is_gone_has_no_star() -> None:
    assert "(epoch 100)" in accuracy_line(fold([robust_at(100, 0.445), robust_at(140, 0.343)]), 140).plain


def test_what_checkpoints_are_chosen_by_stands_beside_the_probe_s_own_figure() -> None:
    chosen = replace(robust_at(140, 0.343), selection=0.289)
    assert "· 28.9% under the stronger attack ·" in accuracy_line(fold([chosen]), 140).plain
    assert "stronger" not in accuracy_line(fold([robust_at(140, 0.343)]), 140).plain


def test_the_best_so_far_is_called_so() -> None:
    assert "best so far" in accuracy_line(fold([robust_at(1, 0.3), robust_at(2, 0.4)]), 140).plain


@pytest.mark.parametrize(("accuracy", "is_noise"), [(0.40, True), (0.30, False)])
def test_only_a_fall_beyond_chance_is_drawn_as_one(accuracy: float, is_noise: bool) -> None:
    line = accuracy_line(fold([robust_at(1, 0.445), robust_at(2, accuracy)]), 140)
    styles = {str(span.style) for span in line.spans if "▼" in line.plain[span.start : span.end]}
    assert ("bold $error" not in styles) is is_noise


def test_what_is_being_done_comes_before_what_it_costs(tmp_path: Path) -> None:
    progress = replace(ev.Progressed.of_activity("PGD-10 at 8/255", 0.5), memory_bytes=2**30, step=12)
    state = fold([*list(played(tmp_path, "at"))[:4], progress])
    line = work_line(state, Moment("RUNNING"), 140).plain
    assert line.index("PGD-10") < line.index("50%") < line.index("cross-entropy loss") < line.index("1.0 GiB")
    assert line.endswith(" step 12 ")
    assert "nothing is lost" in work_line(state, Moment("PAUSED"), 80).plain
    assert len(work_line(state, Moment("RUNNING"), 80).plain) <= 80
