from dataclasses import replace
from pathlib import Path

import pytest

from claf_tui.widgets.tables import probe_hint, probe_table, probe_title
from tests.tui.scripted import robust_figure
from tests.tui.scripted_methods import probe, released_code, started
from tests.tui.widgets.folded import fold, plain

WARNING = "! released-code: not an ε-ball, moved up to 115/255"
ROBUST = (robust_figure("8/255", 0.618), robust_figure("16/255", 0.41))
OUTSIDE = probe(5, 0, "adversarial", robust=tuple(released_code(item) for item in ROBUST))
OF_L2 = probe(5, 0, "adversarial", robust=(replace(robust_figure("0.5", 0.7), norm="l2"),))


def test_the_probe_table_warns_of_figures_without_a_ball_and_keeps_its_columns() -> None:
    lines = plain(probe_table(OUTSIDE, 68))
    assert WARNING in [line.strip() for line in lines]
    assert all(len(line) <= 68 for line in lines)
    assert "images" in lines[2]
    assert len(lines) == 6


def test_the_probe_table_of_a_ball_has_no_warning() -> None:
    assert len(probe_table(probe(5, 0, "natural"), 68)) == 5


def test_the_title_of_the_probe_panel_names_norm_and_space() -> None:
    assert probe_title(None) == "probe"
    assert probe_title(probe(5, 0, "natural")) == "probe"
    assert probe_title(OF_L2) == "probe · L2"
    assert probe_title(OUTSIDE) == "probe · released-code: not an ε-ball, moved up to 115/255"


@pytest.mark.parametrize(
    ("every", "hint"),
    [
        (1, "first probe after the epoch"),
        (3, "first probe after 3 epochs"),
        (0, "no probe before the phase ends"),
    ],
)
def test_before_the_first_probe_the_panel_says_when_it_comes(tmp_path: Path, every: int, hint: str) -> None:
    state = fold([started(tmp_path, "at", probe={"every_epochs": every})])
    assert probe_hint(state, can_ask=False) == hint
    assert probe_hint(state, can_ask=True) == f"{hint} · p asks for one now"


def test_a_probe_comes_at_the_end_of_a_phase_that_is_shorter_than_the_interval(tmp_path: Path) -> None:
    state = fold([started(tmp_path, "at", probe={"every_epochs": 50})])
    assert probe_hint(state, can_ask=False) == "first probe after 4 epochs"
