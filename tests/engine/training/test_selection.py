from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import PIXEL, Space
from claf_engine.config import ProbeConfig
from claf_engine.data import Split
from claf_engine.training.selection import selection_rule, selection_steps
from tests.engine.tiny import FP32, exhaust

EPSILON = Fraction(8, 255)
NORMALISED = Space("released-code", (0.49, 0.48, 0.45), (0.2, 0.2, 0.2))


class Brightness(nn.Module):
    """Class 1 where the pixel is brighter than 100/255; an attack by this radius flips what is within 8 of that."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def logits(self, brightness: Tensor) -> Tensor:
        return self.scale * torch.stack([-brightness, brightness], 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images.mean((1, 2, 3)) - 100.5 / 255)


class LastPointIsRight(Brightness):
    """Brightness, but far from the image it was taken for its own class again: what a long attack loses."""

    def forward(self, images: Tensor) -> Tensor:
        brightness = images.mean((1, 2, 3)) - 100.5 / 255
        folded = torch.where(brightness < -6 / 255, -brightness, brightness)
        return self.logits(folded)


def bright(first: int = 101, count: int = 40) -> Split:
    """Images of 1x1 pixels, `first`/255 and brighter, all of class 1."""
    levels = first + torch.arange(count)
    return Split(levels.to(torch.uint8)[:, None, None, None].repeat(1, 3, 1, 1), torch.ones(count, dtype=torch.long))


def selected(model: nn.Module, split: Split, steps: int = 20, **changes: Any) -> tuple[float, float | None]:
    """The probe's own figure, and what is selected by."""
    suite = AttackSuite(**{"epsilons": (EPSILON,), "steps": 10, "step_size": Fraction(2, 255), **changes})
    _, measured = exhaust(accuracy_steps(model, split, suite, FP32))
    _, found = exhaust(selection_steps(model, split, suite, measured.outcomes, steps, FP32))
    return measured.robust[0].accuracy, found


def test_where_the_probe_s_attack_finds_everything_both_figures_are_the_same() -> None:
    probed, found = selected(Brightness(), bright())
    assert probed == found == 32 / 40, "those within 8/255 of the boundary fall"


def test_a_success_that_the_last_point_has_lost_counts() -> None:
    probed, found = selected(LastPointIsRight(), bright(first=98, count=20))
    honest, also_honest = selected(Brightness(), bright(first=98, count=20))
    assert found is not None
    assert found < probed
    assert honest == also_honest == found


def test_steps_that_cannot_cross_the_ball_are_made_good_for() -> None:
    probed, found = selected(Brightness(), bright(), steps=20, step_size=Fraction(1, 1000), epsilons=(EPSILON,))
    assert found == 32 / 40 < probed


@pytest.mark.parametrize("space", [PIXEL, NORMALISED])
def test_what_is_selected_by_never_lies_above_the_probe_s_figure(space: Space) -> None:
    probed, found = selected(Brightness(), bright(), space=space)
    assert found is not None
    assert found <= probed


@pytest.mark.parametrize("changes", [{"epsilons": ()}, {"epsilons": (Fraction(0),)}])
def test_without_a_radius_nothing_is_selected_by(changes: dict[str, Any]) -> None:
    split, suite = bright(), AttackSuite(**{"epsilons": (), **changes})
    _, measured = exhaust(accuracy_steps(Brightness(), split, suite, FP32))
    assert exhaust(selection_steps(Brightness(), split, suite, measured.outcomes, 20, FP32))[1] is None


def test_no_steps_leave_the_choice_to_the_probe() -> None:
    assert selected(Brightness(), bright(), steps=0)[1] is None


def test_radius_zero_is_passed_over() -> None:
    _, found = selected(Brightness(), bright(), epsilons=(Fraction(0), EPSILON))
    assert found == 32 / 40


BY_THE_STRONGER = " under PGD-10 and 20 crossing steps on the margin"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, f"validation robust accuracy at 8/255{BY_THE_STRONGER}"),
        ({"epsilons": ["0", "16/255"]}, f"validation robust accuracy at 16/255{BY_THE_STRONGER}"),
        ({"selection_steps": 0}, "validation robust accuracy at 8/255"),
        (
            {"norm": "l2", "epsilons": [0.5], "step_size": 0.1, "steps": 20},
            "validation robust accuracy at L2 0.5 under PGD-20 and 20 crossing steps on the margin",
        ),
        (
            {"space": "released-code"},
            f"validation robust accuracy at 8/255 (released-code, no ball){BY_THE_STRONGER}",
        ),
        ({"epsilons": []}, ""),
    ],
)
def test_the_rule_names_radius_norm_space_and_attacks(changes: dict[str, Any], sentence: str) -> None:
    assert selection_rule(ProbeConfig.model_validate(changes)) == sentence
