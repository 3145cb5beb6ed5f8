"""Cheap attacks beside every probe, on a few of its images: must its figures be doubted? `alarms` judges the outcomes.

Like all measurements they take nothing from training: throw-away generators, frozen weights, fp32. The probe's own PGD
is not run again. Every image that is right without an attack is attacked once more on plain cross-entropy, those that
the probe's attack left once more on the margin, and all once by FGSM: about a fifth of what the probe costs where they
are a quarter of its images.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.accuracy.measure import Examples, abandonable, answer_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import Attacked, ascent_steps, gradient_of, logit_margin, predict, require_ball
from claf_engine.compute.device import Compute, exact_fp32
from claf_engine.compute.seeding import measurement_generator
from claf_engine.data import Split, to_pixels
from claf_engine.events.ticks import Pulse
from claf_engine.terms.pixels import format_distance

PROBE_SHARE = 4
"""The sentinels look at no more than one in so many of the probe's images, which keeps a probe cheap."""

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Compared:
    """The examples (N,) that survive attacks of one radius.

    Attributes:
        epsilon: the radius, such as "8/255".
        ball: the same for a person, with norm and space where they are not the usual ones, and with a mark where
            figures at it cannot be right.
        one_step: under FGSM.
        multi_step: under the probe's PGD.
        cross_entropy: under the same on plain cross-entropy.
        margin: under both the probe's PGD and one on the logit margin.
    """

    epsilon: str
    ball: str
    one_step: Tensor
    multi_step: Tensor
    cross_entropy: Tensor
    margin: Tensor


@dataclass(frozen=True)
class Sentinels:
    """What was found on the first N images of a probe.

    Attributes:
        norm: of the probe's attack; `space` that it lives in.
        natural: which (N,) are right without an attack; `radius_zero` those under an attack of radius 0.
        num_changed: how many the latter gives another answer.
        largest_distance: largest Linf distance in pixel space that the latter moved an image.
        compared: None where the probe has no radius above 0.
    """

    norm: str
    space: str
    natural: Tensor
    radius_zero: Tensor
    num_changed: int
    largest_distance: float
    compared: Compared | None

    @property
    def num_examples(self) -> int:
        """N."""
        return len(self.natural)


def num_watched(sentinel_examples: int, num_probed: int) -> int:
    """How many of the probe's images the sentinels look at: as many as the settings say, at most a quarter."""
    return min(sentinel_examples, num_probed // PROBE_SHARE)


def sentinel_steps(
    model: nn.Module, split: Split, suite: AttackSuite, outcomes: tuple[Tensor, ...], compute: Compute
) -> Generator[Pulse, None, Sentinels]:
    """Run the sentinels.

    Args:
        model: images in [0, 1] to logits.
        split: the N images to look at, the first of the probe's.
        suite: the probe's attack. The first radius above 0 is the one that is compared.
        outcomes: for each of its radii, which of the probe's images, at least N, survived.
        compute: where; its precision is ignored.

    Raises:
        ClafError: an attacked image lies outside the ball or is not finite.
    """
    compute, attacked = exact_fp32(compute), Attacked.by_its_own_gradients(model)
    yield Pulse("sentinels", abandonable=True)
    answers, labels = predict(model, to_pixels(split.images[:]), compute), split.labels
    everything = Examples(split, torch.arange(len(split), device=labels.device), len(split))
    zero = yield from answer_steps(attacked, everything, replace(suite, steps=0), Fraction(0), compute)
    index = suite.first_attacked
    compared = None
    if index is not None:
        right = Examples(split, (answers == labels).nonzero()[:, 0], len(split))
        examples, probed = (
            right if suite.space.is_pixel else everything,
            replace(suite, epsilons=suite.epsilons[index:]),
        )
        multi_step = outcomes[index][: len(split)]
        compared = yield from _compare_steps(attacked, examples, probed, multi_step, compute)
    return Sentinels(
        suite.norm,
        suite.space.name,
        natural=(answers == labels).cpu(),
        radius_zero=(zero.classes == labels).cpu(),
        num_changed=int((answers != zero.classes).sum()),
        largest_distance=zero.moved.largest,
        compared=compared,
    )


def _compare_steps(
    attacked: Attacked, examples: Examples, suite: AttackSuite, multi_step: Tensor, compute: Compute
) -> Generator[Pulse, None, Compared]:
    """Attack some examples in other ways than the probe did, at the suite's first radius."""
    epsilon = suite.epsilons[0]
    one_step = yield from answer_steps(attacked, examples, replace(suite, name="fgsm"), epsilon, compute)
    cross_entropy = yield from _climb_steps(attacked, examples, suite, _cross_entropy, compute)
    left = replace(examples, rows=multi_step.nonzero()[:, 0])
    margin = yield from _climb_steps(attacked, left, suite, logit_margin, compute)
    found = (one_step.survivors(examples).cpu(), multi_step.cpu(), cross_entropy.cpu(), margin.cpu())
    return Compared(format_distance(epsilon), _ball(suite, epsilon), *found)


def _ball(suite: AttackSuite, epsilon: Fraction) -> str:
    norm = "" if suite.norm == "linf" else f"{suite.norm.upper()} "
    space = "" if suite.space.is_pixel else f" ({suite.space.name}, no ball)"
    return f"{norm}{format_distance(epsilon)}{' !' if suite.notice(epsilon) else ''}{space}"


def _climb_steps(
    attacked: Attacked, examples: Examples, suite: AttackSuite, loss: Loss, compute: Compute
) -> Generator[Pulse, None, Tensor]:
    """Which examples of a split (N,) survive the suite's attack on a loss; False for those not attacked."""
    split, rows = examples.split, examples.rows
    survives = torch.zeros_like(split.labels, dtype=torch.bool)
    if not len(rows):
        return survives
    images, labels, spec = to_pixels(split.images[rows]), split.labels[rows], suite.attack(suite.epsilons[0])
    generator = measurement_generator(suite.seed, f"sentinels, {spec.title}", compute.device)
    gradient = gradient_of(attacked.gradient_source, lambda logits: loss(logits, labels), compute)
    adversarial = yield from abandonable(ascent_steps(gradient, images, spec, generator))
    require_ball(images, adversarial, spec)
    survives[rows] = predict(attacked.model, adversarial, compute) == labels
    return survives


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none")
