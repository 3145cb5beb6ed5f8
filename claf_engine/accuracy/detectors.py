"""Detectors of adversarial examples: what one is, where its threshold lies, and what it is worth.

A detector rejects images instead of classifying them. Its threshold is set on natural validation images, never on those
that are measured. What is measured is the classifier with its detector:

- naturally, an image counts that is classified rightly and not rejected: a rejected natural image is an error;
- under attack, an image counts that does so naturally and for which the attacker found none in the ball that fools the
  classifier and is not rejected: a rejected attacked image is a success of the detector.

So robust accuracy lies at or below natural accuracy, as it does without a detector (Tramer 2022 defines it so).
"""

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from claf_engine.accuracy.detection import Count
from claf_engine.attacks import predict
from claf_engine.compute.device import Compute
from claf_engine.data import Split, to_pixels
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import ClafError, DataError


class Detector(Protocol):
    """Tells adversarial images from natural ones; its networks are in eval mode and take no gradient."""

    def __str__(self) -> str:
        """In words, as `--detector` takes it."""

    def scores(self, images: Tensor) -> Tensor:
        """How suspicious images (N, C, H, W) in [0, 1] are: (N,), higher is more, with a gradient by the images.

        Where a step of it has no useful gradient, a differentiable one stands in for it on the way back.
        """

    def excess(self, scores: Tensor, threshold: float) -> Tensor:
        """How far scores (N,) lie above a threshold, on a scale that an attacker climbs down: at most 0 up to it."""
        return scores - threshold


@dataclass(frozen=True)
class Threshold:
    """Where a detector begins to reject.

    Attributes:
        value: scores above it are rejected.
        wanted_rate: share of natural images that may be rejected, in (0, 1).
        rejected: of the natural images that it was set on.
    """

    value: float
    wanted_rate: float
    rejected: Count


def threshold_at(scores: Tensor, wanted_rate: float) -> Threshold:
    """The lowest threshold that rejects at most this share of natural images.

    Args:
        scores: (N,) of natural images that nothing is measured on.
        wanted_rate: in (0, 1).

    Raises:
        DataError: there are too few images to tell such a share.
    """
    fewest = math.ceil(1 / wanted_rate - 1e-9)
    if len(scores) < fewest:
        raise DataError(
            f"a threshold that rejects {100 * wanted_rate:g} % of natural images is set on at least {fewest} "
            f"validation images, and there are {len(scores)}; take a higher --fpr, or train with more of them "
            "(data.num_validation)"
        )
    allowed = math.floor(wanted_rate * len(scores) + 1e-9)
    value = float(scores.sort(descending=True).values[allowed])
    return Threshold(value, wanted_rate, Count(int((scores > value).sum()), len(scores)))


@dataclass(frozen=True)
class Gate:
    """A classifier with a detector beside it.

    Attributes:
        model: images (N, C, H, W) in [0, 1] to logits (N, K).
        detector: beside it.
        threshold: scores above it are rejected.
    """

    model: nn.Module
    detector: Detector
    threshold: float

    def judge(self, images: Tensor, labels: Tensor, compute: Compute) -> Tensor:
        """Classes (N,) that images are taken for; the label where one is rejected, which is no success of an attack."""
        classes = predict(self.model, images, compute)
        return torch.where(scores_of(self.detector, images, compute) > self.threshold, labels, classes)


@torch.no_grad()
def scores_of(detector: Detector, images: Tensor, compute: Compute) -> Tensor:
    """Scores (N,) of images (N, C, H, W) in [0, 1].

    Raises:
        ClafError: one is no number, which no threshold could reject.
    """
    scores = detector.scores(compute.arrange(images)).float()
    if scores.isnan().any():
        raise ClafError(f"the detector {detector} gave a score that is no number; what it is computed of is not finite")
    return scores


def score_steps(
    detector: Detector, split: Split, compute: Compute, batch_size: int, what: str
) -> Generator[Pulse, None, Tensor]:
    """Scores (N,) of a split; `what` names it in pulses.

    Raises:
        ClafError: see `scores_of`.
    """
    found = []
    num_batches = -(-len(split) // batch_size)
    for batch in range(num_batches):
        yield Pulse(f"scores of {what}", batch, num_batches, abandonable=True)
        rows = slice(batch * batch_size, (batch + 1) * batch_size)
        found.append(scores_of(detector, to_pixels(split.images[rows]), compute))
    return torch.cat(found) if found else torch.zeros(0)
