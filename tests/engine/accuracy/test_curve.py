import copy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from claf_engine.accuracy.curve import Curve, CurveError, CurvePoint, MinimalPerturbations

NATURAL = ((4, 0, 0), (1, 3, 0), (0, 0, 0))
MIDDLE = ((3, 1, 0), (2, 2, 0), (0, 0, 0))
LAST = ((1, 3, 0), (3, 1, 0), (0, 0, 0))
POINTS = (CurvePoint("2/255", 7, MIDDLE), CurvePoint("4/255", 5, LAST))
MINIMAL = MinimalPerturbations(("2/255", "4/255"), 1, (2, 3), 2)
CURVE = Curve("pgd", "linf", "pixel", ("a", "b", "none"), NATURAL, POINTS, MINIMAL)


def test_accuracies_are_read_off_the_diagonals() -> None:
    assert CURVE.natural_accuracy == 7 / 8
    assert [point.robust_accuracy for point in CURVE.points] == [5 / 8, 2 / 8]
    assert CURVE.num_examples == 8


def test_every_class_has_its_own_accuracies_and_one_without_examples_has_none() -> None:
    a, b, none = CURVE.classes
    assert (a.num_examples, a.natural, a.robust) == (4, 1.0, (0.75, 0.25))
    assert (b.num_examples, b.natural, b.robust) == (4, 0.75, (0.5, 0.25))
    assert (none.num_examples, none.natural, none.robust) == (0, None, (None, None))


def test_the_worst_class_is_the_least_robust_one_that_has_examples() -> None:
    assert CURVE.worst_class(0).name == "b"


def test_of_equally_robust_classes_the_worst_is_the_one_of_lower_natural_accuracy() -> None:
    assert CURVE.worst_class(1).name == "b"


@pytest.mark.parametrize(
    ("unattacked", "broken", "survivors", "quartiles"),
    [
        (1, (2, 3), 2, ["2/255", "4/255", "4/255"]),
        (0, (0, 0), 8, [None, None, None]),
        (8, (0, 0), 0, ["0/255", "0/255", "0/255"]),
        (2, (2, 2), 2, ["0/255", "2/255", "4/255"]),
        (2, (2, 1), 3, ["0/255", "2/255", None]),
    ],
)
def test_a_quartile_is_the_radius_at_which_that_many_are_misclassified(
    unattacked: int, broken: tuple[int, int], survivors: int, quartiles: list[str | None]
) -> None:
    minimal = MinimalPerturbations(("2/255", "4/255"), unattacked, broken, survivors)
    assert [minimal.quartile(quarter) for quarter in (1, 2, 3)] == quartiles


def test_a_record_gives_back_the_curve() -> None:
    assert Curve.from_record(CURVE.to_record()) == CURVE


def test_a_record_names_the_worst_class_of_every_radius() -> None:
    worst = [point["worst_class"] for point in CURVE.to_record()["points"]]
    assert worst == [{"name": "b", "robust_accuracy": 0.5}, {"name": "b", "robust_accuracy": 0.25}]


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda record: record.pop(key)


SPOILERS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no points": (_without("points"), "KeyError 'points'"),
    "no radius": (lambda record: record.update(points=[]), "no radius or no example"),
    "not a distance": (lambda record: record["points"][0].update(epsilon="far"), "'far' is not a distance"),
    "descending": (lambda record: record["points"][1].update(epsilon="1/255"), "its radii do not ascend"),
    "twice": (lambda record: record["points"][1].update(epsilon="2/255"), "its radii do not ascend"),
    "negative": (lambda record: record["points"][0].update(num_attacked=-1), "-1 is not a count"),
    "huge": (lambda record: record["points"][0].update(num_attacked=10**400), "is not a count"),
    "a truth value": (lambda record: record["points"][0].update(num_attacked=True), "True is not a count"),
    "a fraction": (lambda record: record["natural"]["confusion"][0].__setitem__(0, 0.5), "0.5 is not a count"),
    "too few classes": (lambda record: record["class_names"].pop(), "is not 2 x 2"),
    "a short row": (lambda record: record["natural"]["confusion"][0].pop(), "is not 3 x 3"),
    "other examples": (lambda record: record["points"][0]["confusion"][0].__setitem__(0, 9), "different examples"),
    "lost examples": (lambda record: record["minimal_perturbation"].update(survivors=9), "minimal perturbations"),
    "a list": (lambda record: record.update(minimal_perturbation=[1]), "TypeError"),
}


@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS.keys())
def test_a_record_that_is_no_curve_is_refused(spoil: tuple[Callable[[dict[str, Any]], object], str]) -> None:
    record = copy.deepcopy(CURVE.to_record())
    change, sentence = spoil
    change(record)
    with pytest.raises(CurveError, match=f"^not a robustness curve: .*{sentence}"):
        Curve.from_record(record)


def test_a_curve_is_read_without_torch() -> None:
    code = "import sys, claf_engine.accuracy.curve; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
