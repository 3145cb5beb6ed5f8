"""Measures a classifier with a detector beside it: naturally, and under attackers who do not and who do know of it.

The oblivious attacker makes one image for every example, as if there were no detector. The adaptive one climbs the
margin while it keeps the score down (`claf_engine/attacks/evasion.py`), with several weights, from several starts, and
any point may win. Both attack all images that are classified rightly.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn

from claf_engine.accuracy.detection import Caught, Count, Detection
from claf_engine.accuracy.detectors import Detector, Gate, Threshold, score_steps, scores_of, threshold_at
from claf_engine.accuracy.measure import (
    Accuracy,
    Examples,
    abandonable,
    answer_steps,
    correct_steps,
    mask_of,
)
from claf_engine.accuracy.suite import AttackSuite, Distances, figure_of
from claf_engine.attacks import Attacked, require_ball
from claf_engine.attacks.evasion import Evasion, evasion_steps
from claf_engine.compute.device import Compute, exact_fp32
from claf_engine.compute.seeding import measurement_generator
from claf_engine.data import Split, to_pixels
from claf_engine.events.ticks import Pulse, retold
from claf_engine.models.folding import fold

OBLIVIOUS, ADAPTIVE = "oblivious", "adaptive"
ADAPTIVE_STEPS = 100
WEIGHTS = (0.1, 1.0, 10.0)
"""Of the score against the margin in logits: next to nothing, about equal, almost alone."""


@dataclass(frozen=True)
class Watched:
    """A classifier with a detector beside it, and what its attackers know.

    Attributes:
        model: images (N, C, H, W) in [0, 1] to logits (N, K); its answers count.
        detector: beside it.
        oblivious: what an attacker takes gradients of who knows of no guard.
        adaptive: of one who knows them all.
        before: what stands before the classifier besides, such as "median:2", or nothing.
        wanted_rate: share of natural images that the detector may reject, in (0, 1).
        attackers: those who are measured.
    """

    model: nn.Module
    detector: Detector
    oblivious: nn.Module
    adaptive: nn.Module
    before: str = ""
    wanted_rate: float = 0.05
    attackers: tuple[str, ...] = (OBLIVIOUS, ADAPTIVE)

    @classmethod
    def by(cls, model: nn.Module, detector: Detector) -> "Watched":
        """A classifier with nothing but this detector."""
        folded = fold(model)
        return cls(model, detector, folded, folded)

    @property
    def name(self) -> str:
        """What guards the classifier, for figures."""
        named = f"detector {self.detector} at {100 * self.wanted_rate:g} %"
        return f"{self.before} and {named}" if self.before else named


@dataclass(frozen=True)
class _Scene:
    """What both attackers meet: a watched classifier with its threshold, and the images that it classifies rightly."""

    watched: Watched
    threshold: Threshold
    examples: Examples
    compute: Compute

    @property
    def gate(self) -> Gate:
        return Gate(self.watched.model, self.watched.detector, self.threshold.value)

    def evasion(self, weight: float) -> Evasion:
        """What the adaptive attacker climbs with one weight."""
        return Evasion(self.watched.adaptive, self.watched.detector, self.threshold.value, weight)


@dataclass(frozen=True)
class _Outcome:
    """Of the M attacked examples those that fooled the classifier, and those whose image was not rejected besides."""

    fooled: Tensor
    passed: Tensor
    moved: Distances

    @property
    def detected(self) -> Count:
        """Of the images that fooled the classifier those that never got past the detector."""
        num_fooled = int(self.fooled.sum())
        return Count(num_fooled - int(self.passed.sum()), num_fooled)


def watched_steps(
    watched: Watched, validation: Split, test: Split, suite: AttackSuite, compute: Compute, batch_size: int = 250
) -> Generator[Pulse, None, Accuracy]:
    """Set the threshold on validation images, then measure on test images.

    Args:
        watched: what is measured.
        validation: natural images, not those of the test.
        test: what to measure on.
        suite: the oblivious attack, in pixel space; the adaptive one has its radii (see `adaptive_suite`).
        compute: where, in one process; its precision is ignored.
        batch_size: examples attacked at once.

    Returns:
        Natural accuracy with rejected images as errors; for each radius the figure of every attacker,
        of images that the attacker could neither have misclassified unnoticed nor were rejected naturally.

    Raises:
        DataError: there are too few validation images, or images do not lie in [0, 1].
        ClafError: see `accuracy_steps`; or a score is no number.
    """
    compute = exact_fp32(compute)
    right = yield from correct_steps(watched.model, test, compute, batch_size)
    natural = yield from score_steps(watched.detector, validation, compute, batch_size, "validation images")
    threshold = threshold_at(natural, watched.wanted_rate)
    scores = yield from score_steps(watched.detector, test, compute, batch_size, "test images")
    is_rejected = scores > threshold.value
    stands = mask_of(right, len(test)) & ~is_rejected
    scene = _Scene(watched, threshold, Examples(test, right, batch_size), compute)
    robust, outcomes, caught = [], [], []
    for epsilon, knowledge in product(suite.epsilons, watched.attackers):
        attack, steps = _attacker(scene, suite, epsilon, knowledge)
        outcome = yield from retold(steps, partial(_told, who=knowledge))
        survives = stands & ~mask_of(right[outcome.passed], len(test))
        figure = figure_of(attack, epsilon, int(survives.sum()) / len(test), test, outcome.moved)
        robust.append(replace(figure, defence=watched.name, knowledge=knowledge))
        outcomes.append(survives)
        caught.append(Caught(figure.epsilon, knowledge, outcome.detected))
    false_positives, rightly = Count(int(is_rejected.sum()), len(test)), Count(len(right), len(test))
    detection = Detection(
        str(watched.detector),
        threshold.value,
        watched.wanted_rate,
        threshold.rejected,
        false_positives,
        rightly,
        tuple(caught),
    )
    notices = suite.notices(test.images[0].numel())
    share = int(stands.sum()) / len(test)
    return Accuracy(share, tuple(robust), notices, None, tuple(outcomes), stands, detection)


def adaptive_suite(suite: AttackSuite, epsilon: Fraction) -> AttackSuite:
    """What the adaptive attacker does at one radius: 100 steps that cross the ball, or as many as are asked for.

    It begins from every start once for each of `WEIGHTS`, and any point decides.
    """
    steps = ADAPTIVE_STEPS if suite.steps is None else suite.steps
    step_size = "crossing" if suite.step_size is None else suite.step_size
    restarts = suite.restarts * len(WEIGHTS)
    return replace(suite, epsilons=(epsilon,), steps=steps, step_size=step_size, restarts=restarts, decides="any")


def _told(pulse: Pulse, who: str) -> Pulse:
    return replace(pulse, activity=f"{pulse.activity}, {who}")


def _attacker(
    scene: _Scene, suite: AttackSuite, epsilon: Fraction, knowledge: str
) -> tuple[AttackSuite, Generator[Pulse, None, _Outcome]]:
    """What an attacker does at one radius, in words and in steps."""
    if knowledge == OBLIVIOUS:
        return suite, _oblivious_steps(scene, suite, epsilon)
    suite = adaptive_suite(suite, epsilon)
    return suite, _adaptive_steps(scene, suite, epsilon)


def _oblivious_steps(scene: _Scene, suite: AttackSuite, epsilon: Fraction) -> Generator[Pulse, None, _Outcome]:
    """Attack as if there were no detector, then ask it about the image that each attack offers."""
    examples, watched = scene.examples, scene.watched
    attacked = Attacked(watched.model, watched.oblivious)
    answers = yield from answer_steps(attacked, examples, suite, epsilon, scene.compute, keeps_points=True)
    fooled = answers.classes != examples.split.labels[examples.rows]
    assert answers.points is not None
    is_rejected = torch.zeros_like(fooled)
    for place in torch.split(torch.arange(len(fooled), device=fooled.device), examples.batch_size):
        scores = scores_of(watched.detector, answers.points[place], scene.compute)
        is_rejected[place] = scores > scene.threshold.value
    return _Outcome(fooled, fooled & ~is_rejected, answers.moved)


def _adaptive_steps(scene: _Scene, suite: AttackSuite, epsilon: Fraction) -> Generator[Pulse, None, _Outcome]:
    """Attack classifier and detector at once; what got past both is not tried again."""
    outcomes = []
    for number, rows in enumerate(scene.examples.batches()):
        outcomes.append((yield from _adaptive_batch_steps(scene, suite, (epsilon, number), rows)))
    moved, nobody = Distances(), torch.zeros(0, dtype=torch.bool, device=scene.examples.rows.device)
    for outcome in outcomes:
        moved.include(outcome.moved)
    fooled = torch.cat([nobody, *(outcome.fooled for outcome in outcomes)])
    return _Outcome(fooled, torch.cat([nobody, *(outcome.passed for outcome in outcomes)]), moved)


def _adaptive_batch_steps(
    scene: _Scene, suite: AttackSuite, place: tuple[Fraction, int], rows: Tensor
) -> Generator[Pulse, None, _Outcome]:
    """`_adaptive_steps` of one batch; `place` is radius and number of the batch."""
    (epsilon, number), split, compute = place, scene.examples.split, scene.compute
    spec, moved = suite.attack(epsilon), Distances()
    images, labels = to_pixels(split.images[rows]), split.labels[rows]
    judge = partial(scene.gate.judge, compute=compute)
    fooled = torch.zeros_like(labels, dtype=torch.bool)
    passed, left = fooled.clone(), torch.arange(len(rows), device=rows.device)
    for restart in range(suite.restarts):
        if not len(left):
            break
        generator = measurement_generator(suite.seed, f"{spec.title}, batch {number}, {restart}", compute.device)
        evasion = scene.evasion(WEIGHTS[restart % len(WEIGHTS)])
        batch = images[left], labels[left]
        ended = yield from abandonable(evasion_steps(evasion, judge, batch, spec, generator, compute))
        require_ball(images[left], ended.points, spec)
        moved.add(images[left], ended.points)
        fooled[left] |= ended.fooled
        passed[left] = ended.passed
        left = left[~ended.passed]
    return _Outcome(fooled, passed, moved)
