"""A robustness curve: one attack at ascending radii, with what becomes of every example.

In pixel space the ball of a radius contains those of all smaller ones. An adversarial example that was found at one
radius is therefore one at every larger radius too: what is broken stays broken, and only the survivors are attacked
again. The curve is the worst case over everything tried up to its radius, and never rises. In the released code's space
no ball contains another, so every example is attacked at every radius, and the curve may rise.
"""

from collections.abc import Generator, Sequence
from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor, nn

from claf_engine.accuracy.curve import Confusion, Curve, CurvePoint, MinimalPerturbations
from claf_engine.accuracy.measure import Accuracy, Examples, answer_steps, natural_answer_steps
from claf_engine.accuracy.suite import AttackSuite, figure_of
from claf_engine.attacks import Attacked
from claf_engine.compute.device import Compute, exact_fp32
from claf_engine.data import Split
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import ClafError, ConfigError
from claf_engine.terms.pixels import MAX_RADII, format_distance

ATTACKS = ("pgd", "fgsm", "mi-fgsm")


def require_curve(attack: str, defence: object, num_radii: int) -> None:
    """Refuse what no curve is measured of.

    Args:
        attack: its name.
        defence: what stands before the classifier, or None.
        num_radii: how many.

    Raises:
        ConfigError: the attack is none of `ATTACKS`, there is a defence, or there are more than `MAX_RADII` radii.
    """
    if attack not in ATTACKS:
        raise ConfigError(f"a range of --eps is measured with {', '.join(ATTACKS)}; give {attack} its radii one by one")
    if defence is not None:
        raise ConfigError(
            "a range of --eps is measured without a defence, which makes two curves of one; leave out --defence, or "
            "give the radii one by one"
        )
    if num_radii > MAX_RADII:
        raise ConfigError(f"{num_radii} radii are asked for, and at most {MAX_RADII} are measured; take larger steps")


def curve_steps(
    model: nn.Module,
    split: Split,
    class_names: tuple[str, ...],
    suite: AttackSuite,
    compute: Compute,
    batch_size: int = 250,
) -> Generator[Pulse, None, Accuracy]:
    """Measure a curve, and with it natural accuracy and a figure for each radius, in fp32.

    Args:
        model: images in [0, 1] to logits; gradients come from it, folded.
        split: what to measure on, N examples.
        class_names: one name for each of the K labels.
        suite: the attack; its radii are taken in ascending order, each once.
        compute: where; its precision is ignored.
        batch_size: examples attacked at once.

    Raises:
        DataError: the images do not lie in [0, 1].
        ClafError: see `accuracy_steps`.
    """
    compute, is_pixel = exact_fp32(compute), suite.space.is_pixel
    suite = replace(suite, epsilons=tuple(sorted(set(suite.epsilons))))
    attacked, robust = Attacked.by_its_own_gradients(model), []
    natural = yield from natural_answer_steps(model, split, compute, batch_size)
    fates = _Fates(split.labels, natural, len(class_names))
    for epsilon in suite.epsilons:
        rows = fates.intact.nonzero()[:, 0] if is_pixel else torch.arange(len(split), device=natural.device)
        answers = yield from answer_steps(attacked, Examples(split, rows, batch_size), suite, epsilon, compute)
        point = fates.take(epsilon, rows, answers.classes)
        if epsilon == 0 and is_pixel and fates.broken[-1]:
            raise ClafError("an attack of epsilon 0 changed predictions: the model's forward pass is not repeatable")
        robust.append(figure_of(suite, epsilon, point.robust_accuracy, split, answers.moved))
    curve = fates.curve(suite, class_names, [figure.notice for figure in robust])
    return Accuracy(curve.natural_accuracy, tuple(robust), suite.notices(split.images[0].numel()), curve)


class _Fates:
    """What has become of every example so far."""

    def __init__(self, labels: Tensor, natural: Tensor, num_classes: int) -> None:
        self.intact = natural == labels
        self.broken: list[int] = []
        self._labels, self._answers = labels, natural.clone()
        self._num_classes = num_classes
        self._natural = confusion_of(labels, natural, num_classes)
        self._unattacked = len(labels) - int(self.intact.sum())
        self._points: list[CurvePoint] = []

    def take(self, epsilon: Fraction, rows: Tensor, answers: Tensor) -> CurvePoint:
        """Take in the answers (M,) to the examples of these rows (M,); the others keep theirs from smaller radii."""
        self._answers[rows] = answers
        still = self.intact & (self._answers == self._labels)
        self.broken.append(int(self.intact.sum()) - int(still.sum()))
        self.intact = still
        confusion = confusion_of(self._labels, self._answers, self._num_classes)
        self._points.append(CurvePoint(format_distance(epsilon), len(rows), confusion))
        return self._points[-1]

    def curve(self, suite: AttackSuite, class_names: tuple[str, ...], notices: Sequence[str]) -> Curve:
        """All of it, as plain values; `notices` say of each radius why its accuracy cannot be right."""
        points = (replace(point, notice=notice) for point, notice in zip(self._points, notices, strict=True))
        radii = tuple(point.epsilon for point in self._points)
        minimal = MinimalPerturbations(radii, self._unattacked, tuple(self.broken), int(self.intact.sum()))
        space = suite.space.name
        return Curve(suite.name, suite.norm, space, class_names, self._natural, tuple(points), minimal)


def confusion_of(labels: Tensor, answers: Tensor, num_classes: int) -> Confusion:
    """Count labels (N,) against answers (N,), both in [0, K): K rows of true classes, K columns of answers."""
    counts = torch.bincount(labels * num_classes + answers, minlength=num_classes * num_classes)
    return tuple(map(tuple, counts.view(num_classes, num_classes).tolist()))
