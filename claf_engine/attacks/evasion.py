"""An attack that knows of a detector: it must fool the classifier, and keep the detector quiet meanwhile.

It climbs min(m(x), k) - w max(e(x), 0) with the margin m of the true class, its cap k, and the excess e of the
detector's score over its threshold (He, Wei, Chen, Carlini and Song 2017 weigh a classifier against feature squeezing
like this). Every point is judged: one that fools the classifier and is not rejected is enough.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from claf_engine.attacks.any_point import Climb, Judge, misclassified
from claf_engine.attacks.gradients import logit_margin
from claf_engine.attacks.spec import Attack
from claf_engine.compute.device import Compute
from claf_engine.events.ticks import Pulse
from claf_engine.models.modes import frozen

CAP = 20.0
"""A margin of so many logits leaves other classes a billionth."""


class Watcher(Protocol):
    """What is evaded: a detector."""

    def scores(self, images: Tensor) -> Tensor:
        """Scores (N,) of images (N, C, H, W) in [0, 1], differentiable."""

    def excess(self, scores: Tensor, threshold: float) -> Tensor:
        """How far scores (N,) lie above a threshold, at most 0 up to it, differentiable."""


@dataclass(frozen=True)
class Evasion:
    """What is climbed.

    Attributes:
        model: images (N, C, H, W) in [0, 1] to logits (N, K).
        watcher: the detector.
        threshold: scores above it are rejected.
        weight: w, of the excess against the margin.
        cap: k, the margin in logits beyond which fooling the classifier more gains nothing.
    """

    model: nn.Module
    watcher: Watcher
    threshold: float
    weight: float
    cap: float = CAP

    def objective(self, logits: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        """What is climbed (N,), of logits (N, K), scores (N,) and labels (N,)."""
        margin = logit_margin(logits, labels).clamp(max=self.cap)
        return margin - self.weight * self.watcher.excess(scores, self.threshold).clamp(min=0)

    def look(self, images: Tensor, labels: Tensor, compute: Compute) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (N, K) and scores (N,) of images, and the gradient of the objective by them."""
        images = images.detach().requires_grad_(True)
        with frozen(self.model), torch.enable_grad():
            arranged = compute.arrange(images)
            logits, scores = self.model(arranged).float(), self.watcher.scores(arranged).float()
            (gradient,) = torch.autograd.grad(self.objective(logits, scores, labels).sum(), images)
        return logits.detach(), scores.detach(), gradient


@dataclass(frozen=True)
class Evaded:
    """How an attack ended.

    Attributes:
        points: (N, C, H, W), the first point of each that fools the classifier and is not rejected, or else the last.
        passed: (N,), whether there was one.
        fooled: (N,), whether any point fooled the classifier, rejected or not.
    """

    points: Tensor
    passed: Tensor
    fooled: Tensor


def evasion_steps(
    evasion: Evasion,
    judge: Judge,
    batch: tuple[Tensor, Tensor],
    spec: Attack,
    generator: torch.Generator,
    compute: Compute,
) -> Generator[Pulse, None, Evaded]:
    """Attack until a point of every example fools the classifier and is not rejected, with a pulse before every step.

    Args:
        evasion: what is climbed.
        judge: says what is broken indeed; the label where an image is rejected.
        batch: images (N, C, H, W) in [0, 1], not modified, and labels (N,).
        spec: radius, norm, start and steps.
        generator: of the random start.
        compute: precision of all passes.
    """
    images, labels = batch
    climb, fooled = Climb(images, labels, spec, generator), torch.zeros_like(labels, dtype=torch.bool)
    for number in range(spec.steps + 1):
        yield Pulse(spec.title, number, spec.steps)
        logits, scores, gradient = evasion.look(climb.images, climb.labels, compute)
        is_wrong = misclassified(logits, climb.labels)
        fooled[climb.rows[is_wrong]] = True
        climb.settle(is_wrong & (scores <= evasion.threshold), judge)
        if number == spec.steps or not climb.num_standing:
            break
        climb.advance(gradient)
    climb.finish(judge)
    passed = climb.answers != labels
    return Evaded(climb.points, passed, fooled | passed)
