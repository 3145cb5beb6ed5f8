"""Natural and robust accuracy, as worst case per example.

Everything here is a generator of pulses, so that it can be paused and shown, and measures in fp32 whatever the run was
trained in. Random starts come from throw-away generators: measuring never changes training.

Several processes share out whole batches and put together what each of them found, so that every figure, outcome and
point is the one of a single process, bit by bit.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import torch
from torch import Tensor, nn

from claf_engine.accuracy.curve import Curve
from claf_engine.accuracy.detection import Detection
from claf_engine.accuracy.suite import AttackSuite, Distances, figure_of
from claf_engine.attacks import Attacked, attack_steps, predict, require_ball, require_pixels
from claf_engine.attacks.any_point import any_point_steps
from claf_engine.compute.device import Compute, exact_fp32
from claf_engine.compute.seeding import measurement_generator
from claf_engine.compute.world import World
from claf_engine.data import Split, to_pixels
from claf_engine.events import RobustFigure
from claf_engine.events.ticks import Pulse, Result, retold
from claf_engine.terms.errors import ClafError


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on a split: natural, and robust at each radius; `notices` are sentences for whoever reads it.

    `curve` is what the figures were read off, where a curve was measured; `correct` are the examples (N,) that are
    classified correctly without an attack, and `outcomes` those (N,) that survive each figure's, where they are known.
    With a `detection` what is rejected naturally is not among them (see `claf_engine.accuracy.detectors`).
    `union` is the share that survives all of them, where the figures are of balls of several norms.
    """

    natural: float
    robust: tuple[RobustFigure, ...]
    notices: tuple[str, ...] = ()
    curve: Curve | None = None
    outcomes: tuple[Tensor, ...] = field(default=(), compare=False, repr=False)
    correct: Tensor | None = field(default=None, compare=False, repr=False)
    detection: Detection | None = None
    union: float | None = None


@dataclass(frozen=True)
class Examples:
    """Some examples of a split.

    Attributes:
        split: all N of them.
        rows: (M,) those that are meant.
        batch_size: how many are attacked at once.
    """

    split: Split
    rows: Tensor
    batch_size: int

    def batches(self) -> Iterator[Tensor]:
        """Rows (at most `batch_size`,) of one batch after the other."""
        return iter(torch.split(self.rows, self.batch_size) if len(self.rows) else ())


@dataclass(frozen=True)
class Answers:
    """What a model says of attacked examples.

    Attributes:
        classes: (M,), the class that each is taken for by the restart that broke it; its label where every one failed.
        moved: how far their images were moved.
        points: (M, C, H, W), where the restart that broke each ended, or else the last one; None where none are kept.
    """

    classes: Tensor
    moved: Distances
    points: Tensor | None = None

    def survivors(self, examples: Examples) -> Tensor:
        """Which examples of the split (N,) survive; False for those that were not attacked."""
        labels = examples.split.labels
        survives = torch.zeros_like(labels, dtype=torch.bool)
        survives[examples.rows] = self.classes == labels[examples.rows]
        return survives


def accuracy_steps(
    model: nn.Module,
    split: Split,
    suite: AttackSuite,
    compute: Compute,
    batch_size: int = 250,
    gradient_source: nn.Module | None = None,
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
        gradient_source: the model that gradients are taken from; by default `model` itself, folded.

    Raises:
        DataError: the images do not lie in [0, 1].
        ClafError: an attack of radius 0 changed the accuracy, or an attacked image lies outside the ball or is not
            finite, so the attack or the model is broken.
    """
    compute = exact_fp32(compute)
    attacked = Attacked.by_its_own_gradients(model) if gradient_source is None else Attacked(model, gradient_source)
    correct = yield from correct_steps(model, split, compute, batch_size)
    rows = correct if suite.space.is_pixel else torch.arange(len(split), device=correct.device)
    examples = Examples(split, rows, batch_size)
    robust, outcomes = [], []
    for epsilon in suite.epsilons:
        answers = yield from answer_steps(attacked, examples, suite, epsilon, compute)
        survives = answers.survivors(examples)
        num_survivors = int(survives.sum())
        if epsilon == 0 and suite.space.is_pixel and num_survivors != len(correct):
            raise ClafError("an attack of epsilon 0 changed predictions: the model's forward pass is not repeatable")
        robust.append(figure_of(suite, epsilon, num_survivors / len(split), split, answers.moved))
        outcomes.append(survives)
    notices = suite.notices(split.images[0].numel())
    return Accuracy(
        len(correct) / len(split),
        tuple(robust),
        notices,
        outcomes=tuple(outcomes),
        correct=mask_of(correct, len(split)),
    )


def answer_steps(
    attacked: Attacked,
    examples: Examples,
    suite: AttackSuite,
    epsilon: Fraction,
    compute: Compute,
    *,
    keeps_points: bool = False,
) -> Generator[Pulse, None, Answers]:
    """Attack some examples at one radius until a restart breaks them; those that one broke are not tried again.

    Args:
        attacked: what is attacked.
        examples: what it is asked about.
        suite: the attack.
        epsilon: its radius.
        compute: where, and in which precision.
        keeps_points: whether the attacked images are wanted too.

    Raises:
        ClafError: see `require_ball`.
    """
    split, world, title = examples.split, compute.world, suite.attack(epsilon).title
    batches = list(examples.batches())
    answers: dict[int, Answers] = {}
    for number in world.turns(len(batches)):
        if not world.is_single:
            yield Pulse(title, number, len(batches), abandonable=True, together=True)
        if number < len(batches):
            batch, place = replace(examples, rows=batches[number]), (epsilon, number)
            steps = _batch_steps(attacked, batch, suite, place, compute, keeps_points=keeps_points)
            answers[number] = yield from steps
    return _put_together(answers, batches, split, world, keeps_points=keeps_points)


def _batch_steps(
    attacked: Attacked,
    examples: Examples,
    suite: AttackSuite,
    place: tuple[Fraction, int],
    compute: Compute,
    *,
    keeps_points: bool,
) -> Generator[Pulse, None, Answers]:
    """`answer_steps` of one batch: all of these examples at once.

    Args:
        attacked: what is attacked.
        examples: what it is asked about.
        suite: the attack.
        place: radius, and number of the batch.
        compute: where, and in which precision.
        keeps_points: whether the attacked images are wanted too.
    """
    (epsilon, number), rows, split = place, examples.rows, examples.split
    spec, moved = suite.attack(epsilon), Distances()
    images, labels = to_pixels(split.images[rows]), split.labels[rows]
    worst, worst_points = labels.clone(), images.clone() if keeps_points else None
    left = torch.arange(len(rows), device=rows.device)
    for restart in range(suite.restarts):
        if not len(left):
            break
        generator = measurement_generator(suite.seed, f"{spec.title}, batch {number}, {restart}", compute.device)
        if suite.decides == "any":
            ended = yield from abandonable(any_point_steps(attacked, images, labels, spec, generator, compute))
            points, answers = ended.points, ended.answers
        else:
            steps = attack_steps(attacked.gradient_source, images, labels, spec, generator, compute)
            points = yield from abandonable(steps)
            answers = predict(attacked.model, points, compute)
        require_ball(images, points, spec)
        moved.add(images, points)
        worst[left] = answers
        if worst_points is not None:
            worst_points[left] = points
        stands = answers == labels
        images, labels, left = images[stands], labels[stands], left[stands]
    return Answers(worst, moved, worst_points)


def _put_together(
    answers: Mapping[int, Answers], batches: Sequence[Tensor], split: Split, world: World, *, keeps_points: bool
) -> Answers:
    """The answers on all batches, where each process has those on some of them.

    A process fills in zeros for those of the others, so that adding up is exact; distances are added in the order of
    the batches, as a single process does.
    """
    pixels, found = to_pixels(split.images[:0]), dict(answers)
    nothing = Distances()
    for number in range(len(batches)):
        if number not in found:
            empty = split.labels.new_zeros(len(batches[number]))
            blank = pixels.new_zeros((len(empty), *pixels.shape[1:])) if keeps_points else None
            found[number] = Answers(empty, nothing, blank)
    ordered = [found[number] for number in range(len(batches))]
    classes = world.sum(torch.cat([split.labels[:0], *(each.classes for each in ordered)]))
    points = None
    if keeps_points:
        points = world.sum(torch.cat([pixels, *(each.points for each in ordered if each.points is not None)]))
    measured = [[each.moved.largest, each.moved.total, each.moved.count] for each in ordered]
    moved = Distances()
    for largest, total, count in world.sum(torch.tensor(measured, dtype=torch.float64)).tolist():
        moved.include(Distances(largest, total, int(count)))
    return Answers(classes, moved, points)


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
        ClafError: a weight of the model is not finite.
    """
    require_finite(model)
    num_batches = -(-len(split) // batch_size)
    answers = torch.zeros_like(split.labels)
    for batch in compute.world.turns(num_batches):
        yield Pulse("natural accuracy", batch, num_batches, abandonable=True, together=True)
        if batch < num_batches:
            rows = slice(batch * batch_size, (batch + 1) * batch_size)
            images = to_pixels(split.images[rows])
            require_pixels(images)
            answers[rows] = predict(model, images, compute)
    return compute.world.sum(answers)


def require_finite(model: nn.Module) -> None:
    """Refuse a model with weights that are infinite or NaN.

    An infinite weight hides from the gradient what it does to the logits, and looks like robustness.

    Raises:
        ClafError: it has one.
    """
    if broken := num_not_finite(model):
        raise ClafError(f"{broken} weights of the network are infinite or NaN: it can be asked nothing; train it anew")


def num_not_finite(model: nn.Module) -> int:
    """How many weights of a model are infinite or NaN."""
    return sum(int((~values.isfinite()).sum()) for values in model.parameters() if values.is_floating_point())


def mask_of(rows: Tensor, count: int) -> Tensor:
    """Which of `count` examples (count,) these rows (M,) are."""
    mask = torch.zeros(count, dtype=torch.bool, device=rows.device)
    mask[rows] = True
    return mask


def abandonable(steps: Generator[Pulse, None, Result]) -> Generator[Pulse, None, Result]:
    """Mark the pulses of an attack as places where a stop may leave: a measurement changes nothing."""
    return retold(steps, lambda pulse: replace(pulse, abandonable=True))
