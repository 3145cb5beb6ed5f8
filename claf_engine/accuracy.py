"""Natural and robust accuracy, as worst case per example.

Everything here is a generator of pulses, so that it can be paused and shown, and measures in fp32 whatever the run was
trained in. Random starts come from throw-away generators: measuring never changes training.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn

from claf_engine.attacks import LinfAttack, attack_steps, require_pixels
from claf_engine.data import Split, to_pixels
from claf_engine.device import Compute, channels_last, exact_fp32
from claf_engine.errors import ClafError
from claf_engine.events import RobustFigure
from claf_engine.folding import fold
from claf_engine.modes import evaluating
from claf_engine.pixels import format_distance
from claf_engine.seeding import measurement_generator
from claf_engine.ticks import Pulse


@dataclass(frozen=True)
class AttackSuite:
    """One PGD attack at several radii.

    Attributes:
        restarts: independent runs; an example counts as robust only if all of them fail.
        seed: of the random starts.
    """

    epsilons: tuple[Fraction, ...]
    steps: int
    step_size: Fraction
    restarts: int = 1
    seed: int = 0

    def attack(self, epsilon: Fraction) -> LinfAttack:
        """The attack at one radius."""
        return LinfAttack(epsilon, self.step_size, self.steps)


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on a split: natural, and robust at each radius."""

    natural: float
    robust: tuple[RobustFigure, ...]


def first(split: Split, count: int | None) -> Split:
    """The first `count` examples of a split, which is shuffled; all of them when `count` is None."""
    return split if count is None else Split(split.images[:count], split.labels[:count])


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, compute: Compute) -> Tensor:
    """Predicted classes (N,) of images (N, 3, H, W) in [0, 1], in eval mode."""
    with evaluating(model), compute.autocast():
        classes: Tensor = model(channels_last(images)).argmax(1)
    return classes


def accuracy_steps(
    model: nn.Module, split: Split, suite: AttackSuite, compute: Compute, batch_size: int = 250
) -> Generator[Pulse, None, Accuracy]:
    """Measure natural and robust accuracy in fp32; only correctly classified examples are attacked.

    Args:
        model: images in [0, 1] to logits.
        split: what to measure on.
        suite: the attack; radius 0 is allowed and must give natural accuracy.
        compute: where; its precision is ignored.
        batch_size: examples attacked at once.

    Raises:
        DataError: the images do not lie in [0, 1].
        ClafError: an attack of radius 0 changed the accuracy, so the attack or the model is broken.
    """
    compute = exact_fp32(compute)
    models = model, fold(model)
    correct = yield from correct_steps(model, split, compute, batch_size)
    robust = []
    for epsilon in suite.epsilons:
        survivors = 0
        for batch, rows in enumerate(torch.split(correct, batch_size) if len(correct) else ()):
            attacked = to_pixels(split.images[rows]), split.labels[rows]
            survivors += yield from survivor_steps(models, attacked, suite.attack(epsilon), suite, compute, batch)
        if epsilon == 0 and survivors != len(correct):
            raise ClafError("an attack of epsilon 0 changed predictions: the model's forward pass is not repeatable")
        robust.append(_figure(suite, epsilon, survivors / len(split), len(split)))
    return Accuracy(len(correct) / len(split), tuple(robust))


def correct_steps(model: nn.Module, split: Split, compute: Compute, batch_size: int) -> Generator[Pulse, None, Tensor]:
    """Rows (N,) of a split that the model classifies correctly without an attack.

    They are gathered first and attacked in batches of one size, because a CPU compiles its kernels anew for every other
    size.
    """
    num_batches = -(-len(split) // batch_size)
    found: list[Tensor] = []
    for batch in range(num_batches):
        yield Pulse("natural accuracy", batch, num_batches, abandonable=True)
        images = to_pixels(split.images[batch * batch_size : (batch + 1) * batch_size])
        require_pixels(images)
        is_correct = predict(model, images, compute) == split.labels[batch * batch_size : (batch + 1) * batch_size]
        found.append(is_correct.nonzero()[:, 0] + batch * batch_size)
    return torch.cat(found)


def survivor_steps(
    models: tuple[nn.Module, nn.Module],
    attacked: tuple[Tensor, Tensor],
    attack: LinfAttack,
    suite: AttackSuite,
    compute: Compute,
    batch: int,
) -> Generator[Pulse, None, int]:
    """Count the examples that every restart fails on; those that one restart broke are not tried again.

    The attack takes its gradients from the second of `models`, a folded copy; whether it succeeded the first says.
    """
    images, labels = attacked
    model, folded = models
    for restart in range(suite.restarts):
        if not len(images):
            return 0
        generator = measurement_generator(suite.seed, f"{attack.name}, batch {batch}, {restart}", compute.device)
        steps = attack_steps(folded, images, labels, attack, generator, compute)
        adversarial = yield from abandonable(steps)
        survives = predict(model, adversarial, compute) == labels
        images, labels = images[survives], labels[survives]
    return len(images)


def abandonable(steps: Generator[Pulse, None, Tensor]) -> Generator[Pulse, None, Tensor]:
    """Mark the pulses of an attack as places where a stop may leave: a measurement changes nothing."""
    while True:
        try:
            pulse = next(steps)
        except StopIteration as stop:
            adversarial: Tensor = stop.value
            return adversarial
        yield Pulse(pulse.activity, pulse.done, pulse.total, abandonable=True)


def selection_figure(robust: Sequence[RobustFigure]) -> float:
    """What checkpoints and classifiers are compared by: robust accuracy at the first radius."""
    return robust[0].accuracy if robust else 0.0


def _figure(suite: AttackSuite, epsilon: Fraction, accuracy: float, num_examples: int) -> RobustFigure:
    return RobustFigure(
        epsilon=format_distance(epsilon),
        accuracy=accuracy,
        attack="pgd",
        steps=suite.steps,
        step_size=format_distance(suite.step_size),
        restarts=suite.restarts,
        num_examples=num_examples,
        seed=suite.seed,
    )
