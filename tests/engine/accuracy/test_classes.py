import pytest
import torch

from claf_engine.accuracy.classes import chance_notices, class_records, missing_notices, unmeasured_notices
from claf_engine.accuracy.measure import Accuracy
from tests.tui.scripted import robust_figure

LABELS = torch.tensor([0, 0, 1, 1])


def accuracy() -> Accuracy:
    correct, survives = torch.tensor([True, True, True, False]), torch.tensor([True, False, False, False])
    return Accuracy(0.75, (robust_figure("8/255", 0.25),), outcomes=(survives,), correct=correct)


def test_every_class_has_its_own_accuracy_natural_and_at_each_radius() -> None:
    cat, dog, fox = class_records(accuracy(), LABELS, ("cat", "dog", "fox"))
    assert cat == {"name": "cat", "num_examples": 2, "natural_accuracy": 1.0, "robust_accuracy": [0.5]}
    assert dog == {"name": "dog", "num_examples": 2, "natural_accuracy": 0.5, "robust_accuracy": [0.0]}
    assert fox == {"name": "fox", "num_examples": 0, "natural_accuracy": None, "robust_accuracy": [None]}


def test_classes_that_nobody_measured_are_named() -> None:
    assert unmeasured_notices(class_records(accuracy(), LABELS, ("cat", "dog", "fox"))) == (
        "there is no test image of class fox",
    )
    assert unmeasured_notices(class_records(accuracy(), LABELS, ("cat", "dog"))) == ()


def test_of_many_missing_classes_the_first_are_named_and_the_others_counted() -> None:
    assert missing_notices(list("abcdefg"), "training") == (
        "there is no training image of classes a, b, c, d, e and 2 more",
    )


def test_nothing_is_told_of_classes_where_single_outcomes_are_not_known() -> None:
    assert class_records(Accuracy(0.5, (robust_figure("8/255", 0.5),)), LABELS, ("cat", "dog")) == []


@pytest.mark.parametrize(("natural", "is_told"), [(0.167, True), (0.05, True), (1.0, False), (0.35, False)])
def test_natural_accuracy_near_chance_is_told(natural: float, *, is_told: bool) -> None:
    assert bool(chance_notices(natural, 60, 6)) == is_told
