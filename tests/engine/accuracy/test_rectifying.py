"""A rectifier that undoes one known perturbation: the universal attack that broke the plain network fails behind it.

White-box PGD through it breaks it as if it were not there.
"""

import pytest
import torch
from torch import Tensor, nn

from claf_engine.accuracy.defences import ADAPTIVE, OBLIVIOUS, defended_steps
from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.rectifying import Rectified, RectifierDetector, Rectifying
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.accuracy.universal import crafted_steps, suite_steps
from claf_engine.data import to_pixels
from tests.engine.accuracy.test_universal import DATA, EPSILON, Tints, suite
from tests.engine.tiny import FP32, exhaust

MODEL, TEST = Tints(), DATA.test


class Undoing(nn.Module):
    """Takes one perturbation off an image where that brings its tint nearer to those of natural images."""

    def __init__(self, perturbation: Tensor) -> None:
        super().__init__()
        self.register_buffer("perturbation", perturbation)
        natural = to_pixels(DATA.train.images).mean((2, 3))
        self.register_buffer("tints", torch.stack([natural[DATA.train.labels == label].mean(0) for label in range(4)]))

    def forward(self, shown: Tensor) -> Tensor:
        kinds = torch.stack([shown, shown - self.perturbation])
        errors = (kinds.mean((3, 4))[:, :, None] - self.tints).square().sum(-1).amin(-1)
        return kinds[errors.argmin(0), torch.arange(len(shown))]


@pytest.fixture(scope="module")
def defence() -> Rectifying:
    """Of the perturbation that the attack on the plain network finds."""
    examples = to_pixels(DATA.train.images), DATA.train.labels
    _, perturbation = exhaust(crafted_steps(MODEL, examples, suite(), EPSILON, FP32))
    return Rectifying(Undoing(perturbation))


def test_the_universal_attack_that_breaks_the_plain_network_fails_behind_the_rectifier(
    defence: Rectifying,
) -> None:
    _, plain = exhaust(suite_steps(MODEL, TEST, suite(), FP32))
    _, guarded = exhaust(defended_steps(MODEL, defence, TEST, suite(), FP32))
    assert plain.natural > 0.9
    assert plain.robust[0].accuracy <= 0.5
    assert guarded.natural > 0.9
    figures = {figure.knowledge: figure for figure in guarded.robust}
    assert figures[OBLIVIOUS].accuracy > 0.85
    assert figures[OBLIVIOUS].defence == "rectifier"


def test_white_box_pgd_through_the_rectifier_breaks_it(defence: Rectifying) -> None:
    _, guarded = exhaust(defended_steps(MODEL, defence, TEST, AttackSuite((EPSILON,), 20, EPSILON / 8), FP32))
    figures = {figure.knowledge: figure.accuracy for figure in guarded.robust}
    assert figures[ADAPTIVE] <= 0.25


def test_behind_no_change_at_all_both_attackers_do_what_they_do_without() -> None:
    pgd = AttackSuite((EPSILON,), 3, EPSILON / 2)
    _, plain = exhaust(accuracy_steps(MODEL, TEST, pgd, FP32))
    _, guarded = exhaust(defended_steps(MODEL, Rectifying(nn.Identity()), TEST, pgd, FP32))
    assert [figure.accuracy for figure in guarded.robust] == [plain.robust[0].accuracy] * 2


def test_its_gradient_is_the_true_one() -> None:
    layer = nn.Conv2d(3, 3, 3, padding=1)
    shown = torch.rand(2, 3, 4, 4, requires_grad=True)
    (through,) = torch.autograd.grad(Rectified(layer, MODEL)(shown)[:, 0].sum(), shown)
    (plain,) = torch.autograd.grad(MODEL(layer(shown))[:, 0].sum(), shown)
    torch.testing.assert_close(through, plain)


def test_a_detector_scores_what_the_rectifier_changes() -> None:
    detector = RectifierDetector(nn.Conv2d(1, 1, 1), nn.Sequential(nn.Flatten(), nn.Linear(16, 1), nn.Flatten(0)))
    shown = torch.rand(3, 1, 4, 4, requires_grad=True)
    scores = detector.scores(shown)
    torch.testing.assert_close(scores, detector.detector(detector.rectifier(shown) - shown))
    assert torch.autograd.grad(scores.sum(), shown)[0].shape == shown.shape
    assert detector.excess(scores, 0.25).tolist() == pytest.approx((scores - 0.25).tolist())
