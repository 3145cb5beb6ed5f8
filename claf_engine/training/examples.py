"""The watched images of a probe: a few that are attacked at every probe and kept for a person to look at.

Like all measurements they take nothing from training: throw-away generators, frozen weights, fp32. They are attacked by
themselves, although the probe has attacked most of them already: those that it finds wrong without an attack it leaves
alone, so that its own points would be of other images at every probe.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.accuracy.measure import Examples, answer_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import Attacked
from claf_engine.compute.device import Compute, exact_fp32
from claf_engine.config import ProbeConfig
from claf_engine.data import Split, to_pixels
from claf_engine.events.ticks import Pulse
from claf_engine.models.modes import evaluating
from claf_engine.models.network import Pipeline
from claf_engine.runs.examples import MAX_FEATURES, MAX_SIDE, About, Answers, CleanExamples, ProbedExamples

WATCHED = 48
"""Images whose features are kept: enough to see classes move, and a twentieth of what a probe costs."""


@dataclass(frozen=True)
class KeptExamples:
    """What a probe keeps: its watched images, and what the attack made of them."""

    clean: CleanExamples
    probed: ProbedExamples


def num_kept(config: ProbeConfig) -> int:
    """How many images a probe watches, pictures and features together; 0 where it keeps none."""
    return min(config.num_examples, max(WATCHED, config.examples)) if config.examples else 0


def watched(split: Split, count: int) -> Split:
    """The first `count` examples of a split when every class takes its turn; the same for the same split."""
    labels = split.labels.cpu()
    by_class = torch.argsort(labels, stable=True)
    sizes = torch.bincount(labels)
    firsts = torch.cumsum(sizes, 0) - sizes
    turn = torch.empty_like(labels)
    turn[by_class] = torch.arange(len(labels)) - firsts[labels[by_class]]
    rows = torch.argsort(turn, stable=True)[:count].to(split.labels.device)
    return Split(split.images[rows], split.labels[rows])


def example_steps(
    model: Pipeline, split: Split, suite: AttackSuite, compute: Compute, about: About, num_pictures: int
) -> Generator[Pulse, None, KeptExamples]:
    """Attack the watched images at the suite's first radius above 0.

    Args:
        model: images in [0, 1] to logits.
        split: the watched images; the first `num_pictures` are kept as pictures too.
        suite: the probe's attack.
        compute: where; its precision is ignored.
        about: where the probe stands.
        num_pictures: how many.

    Raises:
        ClafError: an attacked image lies outside the ball or is not finite.
    """
    compute, attacked = exact_fp32(compute), Attacked.by_its_own_gradients(model)
    epsilon = next(epsilon for epsilon in suite.epsilons if epsilon)
    everything = Examples(split, torch.arange(len(split), device=split.labels.device), len(split))
    answers = yield from answer_steps(attacked, everything, suite, epsilon, compute, keeps_points=True)
    assert answers.points is not None
    images = to_pixels(split.images[:])
    clean = CleanExamples(_levels(images[:num_pictures]), split.labels.cpu().numpy())
    probed = ProbedExamples(
        about,
        suite.attack(epsilon).title,
        _levels(answers.points[:num_pictures]),
        _answers(model, images, compute),
        _answers(model, answers.points, compute),
    )
    return KeptExamples(clean, probed)


@torch.no_grad()
def _answers(model: Pipeline, images: Tensor, compute: Compute) -> Answers:
    with evaluating(model):
        features = model.encoder(compute.arrange(images)).float()
        logits: Tensor = model.classifier(features)
    confidences, classes = logits.float().softmax(1).max(1)
    kept = features.cpu().numpy() @ _projection(features.shape[1])
    return Answers(classes.cpu().numpy(), np.nan_to_num(confidences.cpu().numpy()), kept)


def _projection(num_features: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Orthonormal columns (D, at most 16), the same at every probe; all directions where there are no more.

    Drawn at random, they keep distances in proportion, up to about a fifth (Johnson and Lindenstrauss).
    """
    if num_features <= MAX_FEATURES:
        return np.eye(num_features, dtype=np.float32)
    drawn = np.random.default_rng(0).standard_normal((num_features, MAX_FEATURES))
    return np.linalg.qr(drawn).Q.astype(np.float32)


def _levels(images: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Pictures (P, C, H, W) with levels 0 to 255 of images in [0, 1]; larger ones are averaged down."""
    shrink = max(1.0, max(images.shape[-2:]) / MAX_SIDE)
    if shrink > 1:
        height, width = (max(1, round(side / shrink)) for side in images.shape[-2:])
        images = F.adaptive_avg_pool2d(images, (height, width))
    levels = (images * 255).round().clamp(0, 255)
    return levels.to(torch.uint8).cpu().numpy()
