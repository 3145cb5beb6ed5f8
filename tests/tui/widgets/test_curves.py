from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_tui.charts.view import Extent, View
from claf_tui.widgets.curves import (
    logged_losses,
    loss_lines,
    loss_panel_title,
    loss_title,
    place_parts,
    probe_bands,
    probe_lines,
    rate_lines,
    shown_loss_name,
    view_text,
)
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted import robust_figure
from tests.tui.scripted_methods import METHODS, played, probe, started
from tests.tui.widgets.folded import fold

FIRST_LOSS = {
    "claf": "supcon",
    "scl": "supcon",
    "rocl": "nt_xent",
    "acl": "nt_xent",
    "pretext": "rotation",
    "trades": "trades",
    "alp": "alp",
    "clp": "clp",
    "two-encoders": "two_encoders",
    "natural": "cross_entropy",
    "at": "cross_entropy",
    "fgsm": "cross_entropy",
    "rectifier": "cross_entropy",
    "defense-gan": "wgan_gp",
    "union": "cross_entropy",
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_draws_its_own_loss_from_its_beginning_to_its_end(tmp_path: Path, method: str) -> None:
    events = list(played(tmp_path, method))
    assert shown_loss_name(fold(events[:2])) == FIRST_LOSS[method]
    state = fold(events)
    assert shown_loss_name(state) == FIRST_LOSS[method]
    assert loss_lines(state, FIRST_LOSS[method])


def test_contrastive_learning_without_labels_begins_with_its_own_loss(tmp_path: Path) -> None:
    assert shown_loss_name(fold([started(tmp_path, "scl", contrastive={"positives": "views"})])) == "nt_xent"


def test_before_a_run_is_known_no_loss_is_named() -> None:
    assert loss_panel_title(fold([]), shown_loss_name(fold([])), is_log=False) == "loss"


def test_a_later_phase_draws_its_own_loss_while_it_goes_on(tmp_path: Path) -> None:
    events = list(played(tmp_path, "rocl"))
    second = next(i for i, event in enumerate(events) if isinstance(event, ev.PhaseStarted) and event.phase == 1)
    assert shown_loss_name(fold(events[: second + 1])) == "nt_xent"
    assert shown_loss_name(fold(events[: second + 2])) == "cross_entropy"


def test_the_title_names_the_axis_and_the_next_loss(tmp_path: Path) -> None:
    state = fold(played(tmp_path, "claf"))
    assert logged_losses(state) == ["supcon", "classifier"]
    assert loss_panel_title(state, "supcon", is_log=True) == "SupCon loss, log scale · o: classifier loss"
    assert loss_panel_title(state, "classifier", is_log=False) == "classifier loss · o: SupCon loss"
    assert loss_panel_title(fold(played(tmp_path, "at")), "cross_entropy", is_log=False) == "cross-entropy loss"


def test_a_curve_that_stands_alone_has_the_title_of_its_phase(tmp_path: Path) -> None:
    assert [line.name for line in loss_lines(fold(played(tmp_path, "trades")), "trades")] == ["TRADES"]
    assert [line.name for line in loss_lines(fold(played(tmp_path, "scl")), "supcon")] == ["supervised contrastive"]


def test_curves_of_several_phases_have_names_short_enough_for_a_legend(tmp_path: Path) -> None:
    names = [line.name for line in loss_lines(fold(played(tmp_path, "claf")), "classifier")]
    assert names == ["adversarial", "linear", "adversarial linear"]
    assert [line.name for line in rate_lines(fold(played(tmp_path, "rocl")))] == ["robust contrastive", "fine-tuning"]


def test_robust_accuracy_comes_first_and_a_line_for_each_classifier_shares_its_name(tmp_path: Path) -> None:
    lines = probe_lines(fold(played(tmp_path, "claf")))
    assert [line.name for line in lines] == ["8/255"] * 4 + ["16/255"] * 4 + ["natural"] * 4
    assert len({line.color for line in lines}) == 3
    assert [name for _, name in probe_bands(fold(played(tmp_path, "claf")))] == [
        "quick fit",
        "attack",
        "natural",
        "adversarial",
    ]


def test_a_radius_whose_figure_cannot_be_right_is_marked_in_the_legend() -> None:
    robust = robust_figure("8/255", 0.6), replace(robust_figure("16/255", 0.4), notice="too few steps")
    lines = probe_lines(fold([probe(5, 0, "attack", robust=robust)]))
    assert [line.name for line in lines] == ["8/255", "16/255 !", "natural"]


def test_a_step_is_named_by_its_epoch_clock_and_phase_as_far_as_there_is_room(tmp_path: Path) -> None:
    state = fold(played(tmp_path, "claf"))
    view, extent = View(cursor=27.0, span=10.0), Extent(0.0, 80.0)
    assert view_text(state, view, extent, 100) == "step 27 · epoch 2 · 0:27 · adversarial features · 70 to 80"
    assert view_text(state, view, extent, 40) == "step 27 · epoch 2 · 0:27 · 70 to 80"
    assert view_text(state, view, extent, 12) == "step 27"


def test_a_loss_that_is_not_known_is_still_drawn_and_cleaned(tmp_path: Path) -> None:
    logged = ev.StepLogged(1, 0, 1, "encoder", EVERYTHING, 1.0, 0.1, None, 1.0)
    state = fold([started(tmp_path, "at"), ev.PhaseStarted(0, "supervised", 0), logged])
    assert shown_loss_name(state) == EVERYTHING
    assert len(loss_lines(state, EVERYTHING)) == 1
    assert loss_title(EVERYTHING).isprintable()


def test_on_an_axis_of_epochs_a_place_names_the_one_that_the_axis_counts_as_well(tmp_path: Path) -> None:
    state = fold(played(tmp_path, "claf"))
    assert place_parts(state, 32)[:2] == ["step 32", "epoch 3"]
    assert place_parts(state, 32, in_all=True)[1] == "epoch 3 (7 in all)"
    assert place_parts(state, 8, in_all=True)[1] == "epoch 2"
    assert "epoch 3 (7 in all)" in view_text(state, View(cursor=32.0, x_axis="epoch"), Extent(0, 80), 100)
    assert "in all" not in view_text(state, View(cursor=32.0), Extent(0, 80), 100)
