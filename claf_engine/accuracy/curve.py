"""A robustness curve as plain values and as JSON: accuracy over epsilon, and what else the same attacks tell.

No torch: the console draws it from a record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from claf_engine.terms.pixels import LONGEST, format_distance, parse_distance

Confusion = tuple[tuple[int, ...], ...]
"""Numbers of examples: rows are true classes, columns predicted ones, in the order of the class names."""

LARGEST_COUNT = 2**53
"""Beyond it a float does not hold every whole number."""
QUARTILES = {"lower_quartile": 1, "median": 2, "upper_quartile": 3}
PIXEL = "pixel"


MOST_COLUMNS = 100
"""Columns of a confusion matrix that a record holds in full."""


class CurveError(ValueError):
    """A record is not a robustness curve."""


@dataclass(frozen=True)
class CurvePoint:
    """One radius of a curve.

    Attributes:
        epsilon: the radius, such as "8/255".
        num_attacked: examples that were attacked at it; in pixel space those that no smaller radius broke.
        confusion: every example under its true class and the one it is taken for at this radius.
        notice: why its accuracy cannot be right (see `RobustFigure`); empty where nothing is known.
    """

    epsilon: str
    num_attacked: int
    confusion: Confusion
    notice: str = ""

    @property
    def robust_accuracy(self) -> float:
        """Share in [0, 1] of all examples that are classified correctly."""
        return accuracy_of(self.confusion)


@dataclass(frozen=True)
class MinimalPerturbations:
    """How many examples have which smallest tested perturbation: the first radius at which they are misclassified.

    An attack gives an upper bound of each, and the radii are a grid. The counts sum to the number of examples.

    Attributes:
        epsilons: the radii, ascending.
        unattacked: examples that are misclassified without an attack.
        broken: for each radius, the examples that are misclassified at it and at none before.
        survivors: examples that are misclassified at none; theirs lies beyond the largest radius.
    """

    epsilons: tuple[str, ...]
    unattacked: int
    broken: tuple[int, ...]
    survivors: int

    @property
    def num_examples(self) -> int:
        """All examples."""
        return self.unattacked + sum(self.broken) + self.survivors

    def quartile(self, quarter: int) -> str | None:
        """The smallest radius at which at least `quarter` quarters of all examples are misclassified.

        Returns:
            "0/255" where no attack is needed, and None where it lies beyond the largest radius.
        """
        reached = accumulate((self.unattacked, *self.broken))
        radii = (format_distance(parse_distance(0)), *self.epsilons)
        enough = (
            radius for radius, count in zip(radii, reached, strict=True) if 4 * count >= quarter * self.num_examples
        )
        return next(enough, None)


@dataclass(frozen=True)
class ClassCurve:
    """One class of a curve: accuracies are shares in [0, 1] of its examples, None where it has none.

    Attributes:
        name: of the class.
        num_examples: with this true class.
        natural: accuracy without an attack.
        robust: accuracy at each radius.
    """

    name: str
    num_examples: int
    natural: float | None
    robust: tuple[float | None, ...]


@dataclass(frozen=True)
class Curve:
    """Accuracy of one classifier over the radius of one attack.

    Attributes:
        attack: pgd, fgsm or mi-fgsm.
        norm: of the ball.
        space: "pixel", or "released-code", where there is no ball.
        class_names: in the order of the labels.
        natural: confusion without an attack.
        points: ascending in epsilon; in pixel space their accuracy never rises, because a ball contains the smaller
            ones and what is broken at one radius counts as broken at larger ones.
        minimal: how large a perturbation the examples need.
    """

    attack: str
    norm: str
    space: str
    class_names: tuple[str, ...]
    natural: Confusion
    points: tuple[CurvePoint, ...]
    minimal: MinimalPerturbations

    @property
    def is_epsilon_ball(self) -> bool:
        """Whether the radii are distances between images, so that what breaks at one breaks at all larger ones."""
        return self.space == PIXEL

    @property
    def num_examples(self) -> int:
        """All examples."""
        return sum(map(sum, self.natural))

    @property
    def natural_accuracy(self) -> float:
        """Share in [0, 1] of all examples that are classified correctly without an attack."""
        return accuracy_of(self.natural)

    @cached_property
    def classes(self) -> tuple[ClassCurve, ...]:
        """Accuracies of each class, in the order of the labels."""
        return tuple(
            ClassCurve(
                name,
                sum(self.natural[index]),
                _class_accuracy(self.natural, index),
                tuple(_class_accuracy(point.confusion, index) for point in self.points),
            )
            for index, name in enumerate(self.class_names)
        )

    def worst_class(self, number: int) -> ClassCurve:
        """The class of lowest robust accuracy at a point; of several the one of lowest natural accuracy, then first."""
        measured = [item for item in self.classes if item.num_examples]
        return min(measured, key=lambda item: (item.robust[number], item.natural))

    def to_record(self) -> dict[str, Any]:
        """The curve as a JSON object; its keys are stable."""
        return {
            "attack": self.attack,
            "norm": self.norm,
            "space": self.space,
            "is_epsilon_ball": self.is_epsilon_ball,
            "num_examples": self.num_examples,
            "class_names": list(self.class_names),
            "natural": {"accuracy": self.natural_accuracy, "confusion": _rows(self.natural)},
            "points": [self._point_record(number) for number in range(len(self.points))],
            "classes": [
                {
                    "name": item.name,
                    "num_examples": item.num_examples,
                    "natural_accuracy": item.natural,
                    "robust_accuracy": list(item.robust),
                }
                for item in self.classes
            ],
            "minimal_perturbation": {
                "unattacked": self.minimal.unattacked,
                "broken": list(self.minimal.broken),
                "survivors": self.minimal.survivors,
                "quartiles": {name: self.minimal.quartile(quarter) for name, quarter in QUARTILES.items()},
            },
        }

    def _point_record(self, number: int) -> dict[str, Any]:
        point, worst = self.points[number], self.worst_class(number)
        return {
            "epsilon": point.epsilon,
            "robust_accuracy": point.robust_accuracy,
            "num_attacked": point.num_attacked,
            "worst_class": {"name": worst.name, "robust_accuracy": worst.robust[number]},
            "confusion": _rows(point.confusion),
            "notice": point.notice,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Curve":
        """Read what `to_record` wrote; what follows from the counts is counted anew.

        Raises:
            CurveError: a key is missing, or the counts do not belong together.
        """
        try:
            curve = cls._read(record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CurveError(f"not a robustness curve: {type(error).__name__} {error}") from error
        curve._require_consistency()
        return curve

    @classmethod
    def _read(cls, record: Mapping[str, Any]) -> "Curve":
        points = tuple(
            CurvePoint(
                format_distance(parse_distance(point["epsilon"], LONGEST)),
                _count(point["num_attacked"]),
                _confusion(point["confusion"]),
                str(point.get("notice", "")),
            )
            for point in record["points"]
        )
        minimal = record["minimal_perturbation"]
        return cls(
            str(record["attack"]),
            str(record["norm"]),
            str(record["space"]),
            tuple(map(str, record["class_names"])),
            _confusion(record["natural"]["confusion"]),
            points,
            MinimalPerturbations(
                tuple(point.epsilon for point in points),
                _count(minimal["unattacked"]),
                tuple(map(_count, minimal["broken"])),
                _count(minimal["survivors"]),
            ),
        )

    def _require_consistency(self) -> None:
        size, totals = len(self.class_names), [sum(row) for row in self.natural]
        for confusion in (self.natural, *(point.confusion for point in self.points)):
            if len(confusion) != size or any(len(row) != size for row in confusion):
                raise CurveError(f"not a robustness curve: a confusion matrix is not {size} x {size}")
            if [sum(row) for row in confusion] != totals:
                raise CurveError("not a robustness curve: the confusion matrices are about different examples")
        if not self.points or not sum(totals):
            raise CurveError("not a robustness curve: it has no radius or no example")
        radii = [parse_distance(point.epsilon, LONGEST) for point in self.points]
        if radii != sorted(set(radii)):
            raise CurveError("not a robustness curve: its radii do not ascend")
        if len(self.minimal.broken) != len(self.points) or self.minimal.num_examples != self.num_examples:
            raise CurveError("not a robustness curve: the minimal perturbations are not those of its examples")


def accuracy_of(confusion: Confusion) -> float:
    """Share in [0, 1] of the examples on the diagonal."""
    return sum(row[index] for index, row in enumerate(confusion)) / sum(map(sum, confusion))


def _class_accuracy(confusion: Confusion, index: int) -> float | None:
    total = sum(confusion[index])
    return confusion[index][index] / total if total else None


def _rows(confusion: Confusion) -> list[list[int]] | list[dict[str, int]]:
    """A matrix for JSON; of many classes each row has its counts above 0 alone, by column."""
    if len(confusion) <= MOST_COLUMNS:
        return [list(row) for row in confusion]
    return [{str(column): count for column, count in enumerate(row) if count} for row in confusion]


def _confusion(value: Any) -> Confusion:
    return tuple(_confusion_row(row, len(value)) for row in value)


def _confusion_row(row: Any, size: int) -> tuple[int, ...]:
    if not isinstance(row, dict):
        return tuple(map(_count, row))
    counts = {int(column): _count(count) for column, count in row.items()}
    if any(not 0 <= column < size for column in counts):
        raise ValueError("a count is of a class that there is not")
    return tuple(counts.get(column, 0) for column in range(size))


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_COUNT:
        raise ValueError(f"{value!r} is not a count")
    return value
