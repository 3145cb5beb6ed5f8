from dataclasses import replace
from pathlib import Path

import pytest

from claf_tui.widgets.key_figures import accuracy_line, caveat_line, machine_line
from tests.tui.scripted import robust_figure
from tests.tui.scripted_methods import METHODS, played, probe, released_code
from tests.tui.widgets.folded import fold

ROBUST = (robust_figure("8/255", 0.618), robust_figure("16/255", 0.41))
OUTSIDE = probe(5, 0, "adversarial", robust=tuple(released_code(item) for item in ROBUST))


def test_at_80_columns_a_figure_without_a_ball_is_not_called_robust() -> None:
    line = accuracy_line(OUTSIDE, 80).plain
    assert "robust" not in line
    assert "released-code 8/255 61.8%" in line
    assert "released-code 16/255 41.0%" in line
    assert caveat_line(OUTSIDE, 80).plain.strip() == "! released-code: not an ε-ball, moved up to 115/255"


def test_at_80_columns_the_norm_is_named() -> None:
    of_l2 = probe(5, 0, "adversarial", robust=tuple(replace(item, norm="l2") for item in ROBUST))
    line = accuracy_line(of_l2, 80).plain
    assert "robust L2 8/255 61.8%" in line
    assert "robust L2 16/255 41.0%" in line


def test_only_who_may_ask_for_a_probe_is_told_how() -> None:
    assert "p asks" in accuracy_line(None, 80).plain
    assert accuracy_line(None, 80, can_ask=False).plain.strip() == "no probe yet"


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_of_every_method_is_named(tmp_path: Path, method: str) -> None:
    line = machine_line(fold(played(tmp_path, method)), 140).plain
    names = {"claf": "SupCon", "scl": "SupCon", "rocl": "NT-Xent", "trades": "TRADES", "alp": "ALP"}
    assert f" {names.get(method, 'cross-entropy')} loss 0." in line


def test_at_80_columns_fast_training_shows_both_accuracies(tmp_path: Path) -> None:
    line = machine_line(fold(played(tmp_path, "fgsm")), 80).plain
    assert "one step 62.0%, PGD 41.0%" in line
