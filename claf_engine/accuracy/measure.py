"""Natural and robust accuracy, as worst case per example.

Everything here is a generator of pulses, so that it can be paused and shown, and measures in fp32 whatever the run was
trained in. Random starts come from throw-away generators: measuring never changes training.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial

import torch
from torch import Tensor, nn

from claf_engine.accuracy.curve import Curve
from claf_engine.accuracy.suite import AttackSuite, Distances, figure_of
from claf_engine.attacks import require_ball, require_pixels
from claf_engine.attacks.any_point import any_point_steps, last_point_steps
from claf_engine.compute.device import Compute, exact_fp32
from claf_engine.compute.seeding import measurement_generator
from claf_engine.data import Split, to_pixels
from claf_engine.events import RobustFigure
from claf_engine.events.ticks import Pulse, Result, retold
from claf_engine.models.folding import fold
from claf_engine.models.modes import evaluating
from claf_engine.terms.errors import ClafError


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on a split: natural, and robust at each radius; `notices` are sentences for whoever reads it.

    `curve` is what the figures were read off, where a curve was measured; `outcomes` are the examples (N,) that survive
    at each radius, where they are known.
    """

    natural: float
    robust: tuple[RobustFigure, ...]
    notices: tuple[str, ...] = ()
    curve: Curve | None = None
    outcomes: tuple[Tensor, ...] = field(default=(), compare=False, repr=False)


def first(split: Split, count: int | None) -> Split:
    """The first `count` examples of a split, which is shuffled; all of them when `count` is None."""
    return split if count is None else Split(split.images[:count], split.labels[:count])


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, compute: Compute) -> Tensor:
    """Predicted classes (N,) of images (N, 3, H, W) in [0, 1], in eval mode."""
    with evaluating(model), compute.autocast():
        classes: Tensor = model(compute.arrange(images)).argmax(1)
    return classes


def accuracy_steps(
    model: nn.Module,
    split: Split,
    suite: AttackSuite,
    compute: Compute,
    batch_size: int = 250,
    target: nn.Module | None = None,
) -> Generator[Pulse, None, Accuracy]:
    """Measure natural and robust accuracy in fp32.

    In pixel space only correctly classified examples are attacked. In the released code's space all are, as there: its
    clamp alone changes images, and may turn a wrong prediction into a right one.

    Args:
        model: images in [0, 1] to logits; whether an attack succeeded, it says.
        split: what to measure on.
        suite: the attack; radius 0 is allowed and must give natural accuracy in pixel space.
        compute: where; its precision is ignored.
        batch_size: examples attacked at once.
        target: the model that gradients are taken from; by default `model` itself, folded.

    Raises:
        DataError: the images do not lie in [0, 1].
        ClafError: an attack of radius 0 changed the accuracy, or an attacked image lies outside the ball or is not
            finite, so the attack or the model is broken.
    """
    compute = exact_fp32(compute)
    models = model, fold(model) if target is None else target
    correct = yield from correct_steps(model, split, compute, batch_size)
    attacked_rows = correct if suite.space.is_pixel else torch.arange(len(split), device=correct.device)
    robust, outcomes = [], []
    for epsilon in suite.epsilons:
        attacked = split, attacked_rows, batch_size
        survives, moved = yield from outcome_steps(models, attacked, suite, epsilon, compute)
        num_survivors = int(survives.sum())
        if epsilon == 0 and suite.space.is_pixel and num_survivors != len(correct):
            raise ClafError("an attack of epsilon 0 changed predictions: the model's forward pass is not repeatable")
        robust.append(figure_of(suite, epsilon, num_survivors / len(split), len(split), moved))
        outcomes.append(survives)
    return Accuracy(len(correct) / len(split), tuple(robust), outcomes=tuple(outcomes))


def outcome_steps(
    models: tuple[nn.Module, nn.Module],
    attacked: tuple[Split, Tensor, int],
    suite: AttackSuite,
    epsilon: Fraction,
    compute: Compute,
) -> Generator[Pulse, None, tuple[Tensor, Distances]]:
    """Attack some examples of a split at one radius, every one of them with all restarts that it needs.

    Args:
        models: whether an attack succeeded the first says; gradients come from the second.
        attacked: the split, the rows (M,) of it to attack, and how many at once.
        suite: the attack.
        epsilon: its radius.
        compute: where.

    Returns:
        Which examples of the split (N,) survive, False for those not attacked; and how far images were moved.

    Raises:
        ClafError: see `require_ball`.
    """
    split, attacked_rows, _ = attacked
    answers, moved = yield from answer_steps(models, attacked, suite, epsilon, compute)
    survives = torch.zeros_like(split.labels, dtype=torch.bool)
    survives[attacked_rows] = answers == split.labels[attacked_rows]
    return survives, moved


def answer_steps(
    models: tuple[nn.Module, nn.Module],
    attacked: tuple[Split, Tensor, int],
    suite: AttackSuite,
    epsilon: Fraction,
    compute: Compute,
) -> Generator[Pulse, None, tuple[Tensor, Distances]]:
    """As `outcome_steps`, but give the model's answer (M,) to every attacked example (see `worst_answer_steps`).

    Raises:
        ClafError: see `require_ball`.
    """
    split, attacked_rows, batch_size = attacked
    answers, moved = [split.labels[:0]], Distances()
    for batch, rows in enumerate(torch.split(attacked_rows, batch_size) if len(attacked_rows) else ()):
        examples = to_pixels(split.images[rows]), split.labels[rows]
        answers.append((yield from worst_answer_steps(models, examples, (suite, epsilon, batch), compute, moved)))
    return torch.cat(answers), moved


def correct_steps(model: nn.Module, split: Split, compute: Compute, batch_size: int) -> Generator[Pulse, None, Tensor]:
    """Rows (N,) of a split that the model classifies correctly without an attack.

    They are gathered first and attacked in batches of one size, because a CPU compiles its kernels anew for every other
    size.
    """
    answers = yield from natural_answer_steps(model, split, compute, batch_size)
    return (answers == split.labels).nonzero()[:, 0]


def natural_answer_steps(
    model: nn.Module, split: Split, compute: Compute, batch_size: int
) -> Generator[Pulse, None, Tensor]:
    """Predicted classes (N,) of a split without an attack.

    Raises:
        DataError: the images do not lie in [0, 1].
    """
    num_batches = -(-len(split) // batch_size)
    answers: list[Tensor] = []
    for batch in range(num_batches):
        yield Pulse("natural accuracy", batch, num_batches, abandonable=True)
        images = to_pixels(split.images[batch * batch_size : (batch + 1) * batch_size])
        require_pixels(images)
        answers.append(predict(model, images, compute))
    return torch.cat(answers)


def worst_answer_steps(
    models: tuple[nn.Module, nn.Module],
    attacked: tuple[Tensor, Tensor],
    attack: tuple[AttackSuite, Fraction, int],
    compute: Compute,
    moved: Distances,
) -> Generator[Pulse, None, Tensor]:
    """Attack examples until a restart breaks them; those that one restart broke are not tried again.

    Args:
        models: whether an attack succeeded the first says; gradients come from the second.
        attacked: images (N, C, H, W) and labels (N,).
        attack: the suite, its radius, and the number of the batch, which the random starts depend on.
        compute: where.
        moved: takes note of how far the images were moved.

    Returns:
        The class (N,) that each is taken for by the restart that broke it; its label where every restart fails.

    Raises:
        ClafError: see `require_ball`.
    """
    images, labels = attacked
    worst, left = labels.clone(), torch.arange(len(images), device=images.device)
    model, target = models
    suite, epsilon, batch = attack
    spec, judge = suite.attack(epsilon), partial(predict, model, compute=compute)
    run_steps = any_point_steps if suite.decides == "any" else last_point_steps
    for restart in range(suite.restarts):
        if not len(left):
            break
        generator = measurement_generator(suite.seed, f"{spec.title}, batch {batch}, {restart}", compute.device)
        one_run = run_steps(target, judge, (images, labels), spec, generator, compute)
        adversarial, answers = yield from abandonable(one_run)
        require_ball(images, adversarial, spec)
        moved.add(images, adversarial)
        worst[left] = answers
        survives = answers == labels
        images, labels, left = images[survives], labels[survives], left[survives]
    return worst


def abandonable(steps: Generator[Pulse, None, Result]) -> Generator[Pulse, None, Result]:
    """Mark the pulses of an attack as places where a stop may leave: a measurement changes nothing."""
    return retold(steps, lambda pulse: replace(pulse, abandonable=True))


def selection_figure(robust: Sequence[RobustFigure]) -> float:
    """What checkpoints and classifiers are compared by: robust accuracy at the first radius."""
    return robust[0].accuracy if robust else 0.0
