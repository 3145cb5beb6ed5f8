import math
from fractions import Fraction
from functools import partial

import torch
from torch import Tensor, nn

from claf_engine.attacks import make_attack
from claf_engine.attacks.evasion import CAP, Evasion, evasion_steps
from claf_engine.compute.device import make_generator
from tests.engine.tiny import CPU, FP32, exhaust


class Bright:
    """Scores images (N, C, H, W) by their mean, and an excess that is twice what lies above."""

    def scores(self, images: Tensor) -> Tensor:
        return images.mean((1, 2, 3))

    def excess(self, scores: Tensor, threshold: float) -> Tensor:
        return 2 * (scores - threshold)


def linear() -> nn.Module:
    model = nn.Linear(12, 3)
    with torch.no_grad():
        model.weight.copy_(torch.randn(3, 12, generator=torch.Generator().manual_seed(3)))
        model.bias.zero_()
    return nn.Sequential(nn.Flatten(), model).eval()


def test_the_objective_is_that_of_a_slow_loop() -> None:
    generator = torch.Generator().manual_seed(1)
    logits, scores = 30 * torch.randn(20, 4, generator=generator), torch.rand(20, generator=generator)
    labels = torch.randint(0, 4, (20,), generator=generator)
    found = Evasion(nn.Identity(), Bright(), 0.4, 3.0).objective(logits, scores, labels)
    for row, (said, score, label) in enumerate(zip(logits.tolist(), scores.tolist(), labels.tolist(), strict=True)):
        margin = max(value for k, value in enumerate(said) if k != label) - said[label]
        expected = min(margin, CAP) - 3.0 * max(2 * (score - 0.4), 0.0)
        assert math.isclose(float(found[row]), expected, abs_tol=1e-5)


def test_its_gradient_is_that_of_finite_differences() -> None:
    model, images = linear(), torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(2))
    labels = torch.zeros(1, dtype=torch.int64)
    evasion = Evasion(model.double(), Bright(), 0.1, 1.0)
    # In double, because differences of floats have three digits.
    points = images.double()

    def value(point: Tensor) -> float:
        return float(evasion.objective(model(point), evasion.watcher.scores(point), labels).detach())

    points.requires_grad_(True)
    loss = evasion.objective(model(points), evasion.watcher.scores(points), labels).sum()
    (gradient,) = torch.autograd.grad(loss, points)
    points = points.detach()
    for place in range(12):
        step = torch.zeros(12, dtype=torch.float64)
        step[place] = 1e-5
        moved = step.view_as(points)
        slope = (value(points + moved) - value(points - moved)) / 2e-5
        assert abs(slope - float(gradient.flatten()[place])) < 1e-6


def attacked(threshold: float, weight: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images, labels, and of an attack on them who fooled the classifier and who got past the detector."""
    model, images = linear(), torch.full((16, 3, 2, 2), 0.5)
    images += 0.02 * torch.randn(16, 3, 2, 2, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        labels = model(images).argmax(1)
    evasion = Evasion(model, Bright(), threshold, weight)

    def judge(points: Tensor, own: Tensor) -> Tensor:
        with torch.no_grad():
            answers: Tensor = model(points).argmax(1)
        return torch.where(points.mean((1, 2, 3)) > threshold, own, answers)

    spec = make_attack("pgd", Fraction(40, 255), steps=20, step_size=Fraction(8, 255))
    steps = evasion_steps(evasion, partial(judge), (images, labels), spec, make_generator(CPU, 1), FP32)
    _, ended = exhaust(steps)
    wrong = judge(ended.points, labels) != labels
    assert torch.equal(wrong, ended.passed)
    assert (ended.points - images).abs().max() <= 40 / 255 + 1e-6
    return images, labels, ended.fooled, ended.passed


def test_what_gets_past_fools_the_classifier_and_is_not_rejected() -> None:
    _, _, fooled, passed = attacked(0.5, 10.0)
    assert passed.any()
    assert not (passed & ~fooled).any()


def test_a_detector_that_rejects_everything_lets_nothing_past_though_the_classifier_is_fooled() -> None:
    _, _, fooled, passed = attacked(-1.0, 1.0)
    assert fooled.any()
    assert not passed.any()


def test_a_detector_that_rejects_nothing_leaves_the_plain_attack() -> None:
    _, _, fooled, passed = attacked(2.0, 1.0)
    assert torch.equal(fooled, passed)
    assert passed.any()
