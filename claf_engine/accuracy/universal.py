"""Accuracy under one perturbation for all images, which is crafted on training images and never sees a test image."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import Accuracy, accuracy_steps, correct_steps, mask_of
from claf_engine.accuracy.suite import AttackSuite, Distances
from claf_engine.attacks import Attack, predict, require_ball, require_pixels
from claf_engine.attacks.universal import Algorithm, Universal, perturbed, universal_steps
from claf_engine.attacks.weakness import unit_notices
from claf_engine.compute.device import Compute, exact_fp32
from claf_engine.compute.seeding import measurement_generator
from claf_engine.data import Split, to_pixels
from claf_engine.events import RobustFigure
from claf_engine.events.ticks import Pulse
from claf_engine.models.folding import fold
from claf_engine.terms.errors import ClafError, ConfigError
from claf_engine.terms.names import Norm
from claf_engine.terms.pixels import format_distance

ALGORITHMS: dict[str, Algorithm] = {"universal": "ascent", "universal-deepfool": "deepfool"}
"""By the name of the attack."""
USUAL_PASSES, USUAL_IMAGES = 10, 1000


@dataclass(frozen=True)
class UniversalSuite:
    """The search for one perturbation at several radii, each for itself.

    Attributes:
        epsilons: radii.
        crafting: images that perturbations are crafted on; none of them may be measured on.
        name: of the attack, see `ALGORITHMS`.
        norm: of the balls.
        passes: over the images.
        step_size: of ascent; None is a tenth of each radius.
        restarts: independent searches; the perturbation that breaks most of the crafting images is measured.
        seed: of starts and orders.
    """

    epsilons: tuple[Fraction, ...]
    crafting: Split
    name: str = "universal"
    norm: Norm = "linf"
    passes: int = USUAL_PASSES
    step_size: Fraction | None = None
    restarts: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not len(self.crafting):
            raise ConfigError(
                f"{self.name} is crafted on training images, and {len(self.crafting)} are there; give a source that "
                "has some, or use --attack pgd"
            )

    def search(self, epsilon: Fraction) -> Universal:
        """The search at one radius."""
        return Universal(epsilon, self.norm, ALGORITHMS[self.name], self.passes, self.step_size)


def suite_steps(
    model: nn.Module,
    split: Split,
    suite: AttackSuite | UniversalSuite,
    compute: Compute,
    batch_size: int = 250,
    gradient_source: nn.Module | None = None,
) -> Generator[Pulse, None, Accuracy]:
    """Accuracy under whichever attack: see `accuracy_steps` and `universal_accuracy_steps`."""
    if isinstance(suite, UniversalSuite):
        return universal_accuracy_steps(model, split, suite, compute, batch_size, gradient_source)
    return accuracy_steps(model, split, suite, compute, batch_size, gradient_source)


def universal_accuracy_steps(
    model: nn.Module,
    split: Split,
    suite: UniversalSuite,
    compute: Compute,
    batch_size: int = 250,
    gradient_source: nn.Module | None = None,
) -> Generator[Pulse, None, Accuracy]:
    """Craft one perturbation at each radius and measure who survives it, in fp32.

    Every process crafts the same perturbation; they share out the images that it is measured on.

    Args:
        model: images in [0, 1] to logits; whether an image is broken, it says.
        split: what to measure on.
        suite: the search, with the images that it is made on.
        compute: where; its precision is ignored.
        batch_size: examples asked about at once.
        gradient_source: the model that the perturbation is crafted against; by default `model` itself, folded.

    Raises:
        DataError: the images do not lie in [0, 1].
        ClafError: a radius of 0 changed the accuracy, or the perturbation is not finite.
    """
    compute = exact_fp32(compute)
    source = fold(model) if gradient_source is None else gradient_source
    correct = yield from correct_steps(model, split, compute, batch_size)
    examples = to_pixels(suite.crafting.images[: len(suite.crafting)]), suite.crafting.labels
    require_pixels(examples[0])
    robust, outcomes = [], []
    for epsilon in suite.epsilons:
        perturbation = yield from crafted_steps(source, examples, suite, epsilon, compute)
        asked = _asked_steps(model, split, perturbation, (suite, epsilon), compute, batch_size)
        survives, moved = yield from asked
        survives &= mask_of(correct, len(split))
        if epsilon == 0 and int(survives.sum()) != len(correct):
            raise ClafError("an attack of epsilon 0 changed predictions: the model's forward pass is not repeatable")
        robust.append(_figure(suite, epsilon, int(survives.sum()) / len(split), len(split), moved))
        outcomes.append(survives)
    return Accuracy(
        len(correct) / len(split),
        tuple(robust),
        unit_notices(suite.epsilons, suite.norm, split.images[0].numel()),
        outcomes=tuple(outcomes),
        correct=mask_of(correct, len(split)),
    )


def crafted_steps(
    model: nn.Module, examples: tuple[Tensor, Tensor], suite: UniversalSuite, epsilon: Fraction, compute: Compute
) -> Generator[Pulse, None, Tensor]:
    """The perturbation (1, C, H, W) of the restart that breaks most images of `examples`, the first in a tie.

    Args:
        model: it is crafted against.
        examples: images (N, C, H, W) in [0, 1] and labels (N,).
        suite: the search.
        epsilon: its radius.
        compute: where, and in which precision.
    """
    best, fewest = torch.zeros_like(examples[0][:1]), len(examples[0]) + 1
    spec = suite.search(epsilon)
    for restart in range(suite.restarts):
        stream = measurement_generator(suite.seed, f"{suite.name} at {epsilon}, {restart}", compute.device)
        found = yield from universal_steps(model, examples, spec, stream, compute)
        left = 0 if suite.restarts == 1 else num_surviving(model, examples, found, spec.batch_size, compute)
        if left < fewest:
            best, fewest = found, left
    return best


def num_surviving(
    model: nn.Module, examples: tuple[Tensor, Tensor], perturbation: Tensor, batch_size: int, compute: Compute
) -> int:
    """How many images (N, C, H, W) with labels (N,) are classified correctly under a perturbation (1, C, H, W)."""
    batches = zip(*(torch.split(tensor, batch_size) for tensor in examples), strict=True)
    return sum(
        int((predict(model, perturbed(images, perturbation), compute) == labels).sum()) for images, labels in batches
    )


def _asked_steps(
    model: nn.Module,
    split: Split,
    perturbation: Tensor,
    asked: tuple[UniversalSuite, Fraction],
    compute: Compute,
    batch_size: int,
) -> Generator[Pulse, None, tuple[Tensor, Distances]]:
    """Which examples (N,) a model classifies correctly under a perturbation, and how far their images moved."""
    (suite, epsilon), world = asked, compute.world
    ball = Attack(epsilon, Fraction(0), 0, "none", suite.norm)
    title = f"{suite.name} at {format_distance(epsilon)}"
    batches = list(_slices(len(split), batch_size))
    survives, told = torch.zeros_like(split.labels), torch.zeros(len(batches), 3, dtype=torch.float64)
    for number in world.turns(len(batches)):
        yield Pulse(title, number, len(batches), abandonable=True, together=True)
        if number < len(batches):
            rows, moved = batches[number], Distances()
            images = to_pixels(split.images[rows])
            points = perturbed(images, perturbation)
            require_ball(images, points, ball, title)
            survives[rows] = (predict(model, points, compute) == split.labels[rows]).to(survives.dtype)
            moved.add(images, points)
            told[number] = torch.tensor([moved.largest, moved.total, moved.count])
    whole = Distances()
    for largest, total, count in world.sum(told).tolist():
        whole.include(Distances(largest, total, int(count)))
    return world.sum(survives).bool(), whole


def _slices(count: int, size: int) -> Iterator[slice]:
    return (slice(begin, begin + size) for begin in range(0, count, size))


def _figure(
    suite: UniversalSuite, epsilon: Fraction, accuracy: float, num_examples: int, moved: Distances
) -> RobustFigure:
    is_ascent = ALGORITHMS[suite.name] == "ascent"
    return RobustFigure(
        epsilon=format_distance(epsilon),
        accuracy=accuracy,
        attack=suite.name,
        steps=suite.passes,
        step_size=format_distance(suite.search(epsilon).step) if is_ascent else "own",
        restarts=suite.restarts,
        num_examples=num_examples,
        seed=suite.seed,
        norm=suite.norm,
        largest_distance=round(moved.largest, 6),
        mean_distance=round(moved.mean, 6),
        notice="; ".join(unit_notices([epsilon], suite.norm)),
        num_crafted=len(suite.crafting),
    )
