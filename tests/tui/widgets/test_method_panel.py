from pathlib import Path

import pytest

from claf_tui.widgets.method_panel import method_panel
from tests.tui.scripted_methods import METHODS, TEST, played, started
from tests.tui.widgets.folded import fold


@pytest.mark.parametrize("method", METHODS)
def test_no_method_has_an_empty_panel(tmp_path: Path, method: str) -> None:
    panel = method_panel(fold(played(tmp_path, method)))
    assert any(line.curve.points for line in panel.lines)


@pytest.mark.parametrize("method", METHODS)
def test_before_the_first_figures_the_panel_says_what_comes(tmp_path: Path, method: str) -> None:
    panel = method_panel(fold([started(tmp_path, method)]))
    assert not any(line.curve.points for line in panel.lines)
    assert panel.empty


@pytest.mark.parametrize(
    ("method", "title", "names"),
    [
        ("claf", "attack classifier, adversarial accuracy", ["before", "after", "dissociation"]),
        ("fgsm", "one-step attack against PGD", ["one step", "PGD"]),
        ("trades", "learning rate", ["TRADES"]),
        ("rocl", "learning rate", ["robust contrastive", "fine-tuning"]),
    ],
)
def test_the_panel_shows_what_its_method_is_judged_by(
    tmp_path: Path, method: str, title: str, names: list[str]
) -> None:
    panel = method_panel(fold(played(tmp_path, method)))
    assert panel.title == title
    assert [line.name for line in panel.lines] == names
    assert panel.is_percent == (title != "learning rate")


def test_claf_without_its_second_stage_shows_the_learning_rate(tmp_path: Path) -> None:
    first = started(tmp_path, "scl").phases[0]
    run = started(tmp_path, "claf")
    assert method_panel(fold([type(run)(**{**vars(run), "phases": (first, TEST)})])).title == "learning rate"


@pytest.mark.parametrize(
    ("settings", "ending"),
    [
        ({"streams": "dual"}, " · BatchNorm: attacked"),
        ({"measured_statistics": "natural"}, " · BatchNorm: natural"),
        ({"streams": "adversarial"}, "rate"),
        ("not a section", "rate"),
    ],
)
def test_of_two_batch_norms_the_one_that_measures_is_named(tmp_path: Path, settings: object, ending: str) -> None:
    assert method_panel(fold([started(tmp_path, "acl", acl=settings)])).title.endswith(ending)


def test_a_collapse_is_written_into_the_title(tmp_path: Path) -> None:
    assert method_panel(fold(played(tmp_path, "fgsm", is_collapsing=True))).title.startswith("COLLAPSED")


@pytest.mark.parametrize("method", ["claf", "fgsm"])
def test_accuracies_under_a_training_attack_without_a_ball_say_so(tmp_path: Path, method: str) -> None:
    begun = started(tmp_path, method, attack={"space": "released-code"})
    assert method_panel(fold([begun])).title.endswith("released-code: not an ε-ball")
