from collections.abc import Mapping
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import Space, gradient_of, logit_margin
from claf_engine.compute.device import Compute
from claf_engine.data import Split
from claf_engine.training.alarms import EPSILON_ZERO, ONE_STEP_ATTACK, SATURATED_GRADIENTS, findings
from claf_engine.training.sentinels import Sentinels, num_watched, sentinel_steps
from tests.engine.tiny import CPU, FP32, exhaust

EPSILON = Fraction(8, 255)
NORMALISED = Space("released-code", (0.49, 0.48, 0.45), (0.2, 0.2, 0.2))


class Scaled(nn.Module):
    """A linear network whose logits are multiplied: the same answers, as robust as before, and ever more certain."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.classifier = nn.Linear(12, 4)
        nn.init.zeros_(self.classifier.bias)
        with torch.no_grad():
            self.classifier.weight.copy_(torch.eye(4).repeat(1, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * self.classifier(images.flatten(1) - 0.5)


def bright_images(count: int = 64, brightness: int = 25) -> Split:
    """Images of 2x2 pixels; the bright pixel is the class, with a lead that an attack of 8/255 overcomes or not."""
    labels = torch.arange(count) % 4
    images = torch.full((count, 3, 4), 120)
    for row, label in enumerate(labels.tolist()):
        images[row, :, label] += 4 + row * brightness // count
    return Split(images.view(count, 3, 2, 2).to(torch.uint8), labels)


def suite(**changes: object) -> AttackSuite:
    settings: dict[str, object] = {"epsilons": (EPSILON,), "steps": 5}
    return AttackSuite(**{**settings, **changes})  # type: ignore[arg-type]


def look(model: nn.Module, attack: AttackSuite | None = None, compute: Compute = FP32) -> Sentinels:
    attack, split = attack or suite(), bright_images()
    _, measured = exhaust(accuracy_steps(model, split, attack, compute))
    return exhaust(sentinel_steps(model, split, attack, measured.outcomes, compute))[1]


def begun(found: Sentinels) -> set[str]:
    return {finding.name for finding in findings(found, None) if finding.begins}


def shares(found: Sentinels) -> Mapping[str, float]:
    assert found.compared is not None
    outcomes = {name: value for name, value in vars(found.compared).items() if isinstance(value, Tensor)}
    return {name: float(outcome.double().mean()) for name, outcome in outcomes.items()}


def test_an_honest_network_raises_nothing() -> None:
    found = look(Scaled(1.0))
    assert begun(found) == set()
    assert found.natural.all()
    assert 0 < shares(found)["multi_step"] < 1, "an attack breaks some images and not others"


def test_saturated_logits_raise_the_masking_alert_and_leave_the_probe_s_own_figure() -> None:
    honest, saturated = look(Scaled(1.0)), look(Scaled(1e4))
    assert begun(saturated) == {SATURATED_GRADIENTS}
    assert shares(saturated)["cross_entropy"] == 1.0
    assert shares(saturated)["multi_step"] == shares(honest)["multi_step"]


def test_on_a_linear_network_all_attacks_find_the_same() -> None:
    found = shares(look(Scaled(1.0), suite(steps=10)))
    assert len(set(found.values())) == 1


def test_a_one_step_attack_that_finds_more_than_the_probe_alerts_of_masking() -> None:
    nothing_broken = torch.ones(64, dtype=torch.bool)
    _, found = exhaust(sentinel_steps(Scaled(1.0), bright_images(), suite(), (nothing_broken,), FP32))
    assert ONE_STEP_ATTACK in begun(found)


def test_in_pixel_space_an_attack_of_radius_0_changes_nothing() -> None:
    found = look(Scaled(1.0))
    assert torch.equal(found.radius_zero, found.natural)
    assert found.largest_distance == 0


def test_in_the_released_code_s_space_an_attack_of_radius_0_moves_images() -> None:
    found = look(Scaled(1.0), suite(space=NORMALISED))
    assert EPSILON_ZERO in begun(found)
    assert found.largest_distance > 0.01


def test_a_forward_pass_that_is_not_repeatable_is_noticed() -> None:
    class Moody(Scaled):
        calls = 0

        def forward(self, images: Tensor) -> Tensor:
            self.calls += 1
            return super().forward(images).roll(self.calls, 1)

    found = exhaust(sentinel_steps(Moody(1.0), bright_images(), suite(epsilons=()), (), FP32))[1]
    assert begun(found) == {EPSILON_ZERO}


def test_without_a_radius_there_is_nothing_to_compare() -> None:
    assert look(Scaled(1.0), suite(epsilons=())).compared is None


def test_the_first_radius_above_0_is_compared() -> None:
    found = look(Scaled(1.0), suite(epsilons=(Fraction(0), EPSILON, Fraction(16, 255))))
    assert found.compared is not None
    assert found.compared.epsilon == "8/255"


@pytest.mark.parametrize(
    ("changes", "ball"),
    [
        ({}, "8/255"),
        ({"norm": "l2", "epsilons": (Fraction(1, 5),), "step_size": Fraction(1, 5)}, "L2 51/255"),
        ({"space": NORMALISED}, "8/255 (released-code, no ball)"),
        ({"steps": 3}, "8/255 !"),
    ],
)
def test_what_is_compared_names_norm_space_and_doubt(changes: dict[str, object], ball: str) -> None:
    found = look(Scaled(1.0), suite(**{"steps": 10, **changes}))
    assert found.compared is not None
    assert found.compared.ball == ball


def test_the_probe_s_own_outcome_is_reused() -> None:
    split, survives = bright_images(16), torch.arange(100) % 2 == 0
    found = exhaust(sentinel_steps(Scaled(1.0), split, suite(), (survives,), FP32))[1]
    assert found.compared is not None
    assert torch.equal(found.compared.multi_step, survives[:16])
    assert not (found.compared.margin & ~survives[:16]).any()


def test_they_measure_in_fp32_whatever_the_run_trains_in() -> None:
    exact, in_bf16 = look(Scaled(1.0)), look(Scaled(1.0), compute=Compute(CPU, "bf16", 1))
    assert shares(exact) == shares(in_bf16)


def test_they_may_be_left_at_any_pulse() -> None:
    split, attack = bright_images(), suite()
    _, measured = exhaust(accuracy_steps(Scaled(1.0), split, attack, FP32))
    pulses, _ = exhaust(sentinel_steps(Scaled(1.0), split, attack, measured.outcomes, FP32))
    assert len(pulses) > attack.steps
    assert all(pulse.abandonable for pulse in pulses)


@pytest.mark.parametrize(
    ("asked", "probed", "watched"), [(64, 256, 64), (64, 200, 50), (64, 3, 0), (0, 256, 0), (10, 9999, 10)]
)
def test_at_most_a_quarter_of_the_probe_s_images_is_looked_at(asked: int, probed: int, watched: int) -> None:
    assert num_watched(asked, probed) == watched


def test_the_margin_is_that_of_the_strongest_other_class() -> None:
    logits, labels = torch.tensor([[3.0, 1.0, 2.5], [0.0, 4.0, 1.0]]), torch.tensor([0, 2])
    assert logit_margin(logits, labels).tolist() == [-0.5, 3.0]


def test_the_gradient_of_the_margin_does_not_saturate() -> None:
    split = bright_images(4)
    images = split.images / 255
    gradient = gradient_of(Scaled(1e4), lambda logits: logit_margin(logits, split.labels), FP32)(images)
    assert (gradient.abs().amax((1, 2, 3)) > 1e3).all()
