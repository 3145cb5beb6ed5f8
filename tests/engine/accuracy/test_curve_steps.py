import itertools
import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from claf_engine.accuracy.curve import Curve
from claf_engine.accuracy.curve_steps import confusion_of, curve_steps, require_curve
from claf_engine.accuracy.measure import Accuracy
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import Space
from claf_engine.data import Split, to_pixels
from claf_engine.terms.errors import ClafError, ConfigError, DataError
from claf_engine.terms.names import AttackName
from claf_engine.terms.pixels import parse_radii
from tests.engine.known_accuracy import Linear, gray_images, linear_robust_accuracy, measure, robust, suite
from tests.engine.tiny import FP32, exhaust

RADII = parse_radii("0:8/255:1/255")
NAMES = ("dark", "bright")
RELEASED = Space("released-code", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
SIGNS = torch.tensor([1, -1])


def fitted(count: int = 200) -> tuple[Linear, Split]:
    """A linear model and gray images with the labels it gives them, one in ten of them wrong."""
    model, split = Linear(), gray_images(count)
    labels = model(to_pixels(split.images)).argmax(1)
    labels[::10] = 1 - labels[::10]
    return model, Split(split.images, labels)


def curve_of(attacks: AttackSuite, count: int = 200, **options: Any) -> tuple[Curve, Accuracy]:
    model, split = fitted(count)
    _, accuracy = exhaust(curve_steps(model, split, NAMES, attacks, FP32, **options))
    assert accuracy.curve is not None
    return accuracy.curve, accuracy


def accuracies(curve: Curve) -> list[float]:
    return [point.robust_accuracy for point in curve.points]


@pytest.mark.parametrize("attack", ["pgd", "fgsm", "mi-fgsm"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_curve_of_a_linear_model_is_its_closed_form(attack: AttackName, norm: Any) -> None:
    model, split = fitted()
    radii = RADII if norm == "linf" else parse_radii("0:0.1:0.0125")
    attacks = AttackSuite(radii, 20, Fraction(2, 255) if norm == "linf" else Fraction(1, 2), name=attack, norm=norm)
    curve, _ = curve_of(attacks)
    expected = [linear_robust_accuracy(model, split, radius, norm) for radius in radii]
    assert accuracies(curve) == expected
    assert expected[0] == 0.9
    assert expected[-1] < 0.6


def test_minimal_perturbations_of_a_linear_model_are_its_margins_rounded_up_to_radii() -> None:
    model, split = fitted()
    with torch.no_grad():
        margins = (model(to_pixels(split.images)) * SIGNS).sum(1) * SIGNS[split.labels]
        needed = margins / (model.layer.weight[0] - model.layer.weight[1]).norm(1)
    minimal = curve_of(suite(*RADII, steps=10))[0].minimal
    assert minimal.unattacked == int((needed <= 0).sum()) == 20
    bounds = itertools.pairwise(map(float, RADII))
    between = [int(((needed > low) & (needed <= high)).sum()) for low, high in bounds]
    assert minimal.broken == (0, *between)
    assert minimal.survivors == int((needed > float(RADII[-1])).sum())


class Stubborn(nn.Module):
    """Gives way to moves between 1/255 and 3/255 and not to larger ones, of which its gradient says nothing."""

    def forward(self, images: Tensor) -> Tensor:
        moved = (images * 255 - 127).abs().amax((1, 2, 3))
        gives_way = (moved > 0.8) & (moved < 3.2)
        toward = images.sum((1, 2, 3))
        score = torch.where(gives_way, -1.0, 1.0) + 1e-3 * (toward - toward.detach())
        return torch.stack([score, -score], 1)


def stubborn_images(count: int = 6) -> Split:
    gray = torch.full((count, 3, 2, 2), 127, dtype=torch.uint8)
    return Split(gray, torch.zeros(count, dtype=torch.int64))


def test_what_breaks_at_a_small_radius_stays_broken_at_one_that_overlooks_it() -> None:
    attacks = suite(*parse_radii("2/255:8/255:3/255"), name="fgsm")
    alone = robust(measure(Stubborn(), stubborn_images(), attacks))
    assert alone == [0.0, 1.0, 1.0]
    _, accuracy = exhaust(curve_steps(Stubborn(), stubborn_images(), NAMES, attacks, FP32))
    assert robust(accuracy) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("restarts", [1, 2])
@pytest.mark.parametrize("steps", [1, 3])
def test_a_curve_never_rises_and_is_never_above_an_attack_alone(steps: int, restarts: int) -> None:
    model, split = fitted()
    attacks = suite(*RADII, steps=steps, restarts=restarts)
    found = accuracies(curve_of(attacks)[0])
    assert found == sorted(found, reverse=True)
    # The first attacked radius meets the same examples with the same random starts as when it is measured alone.
    assert found[1] == robust(measure(model, split, suite(RADII[1], steps=steps, restarts=restarts)))[0]


def test_only_survivors_are_attacked_again() -> None:
    curve, _ = curve_of(suite(*RADII, steps=10))
    natural_correct = round(curve.natural_accuracy * 200)
    survivors = [round(accuracy * 200) for accuracy in accuracies(curve)]
    assert [point.num_attacked for point in curve.points] == [natural_correct, *survivors[:-1]]


def test_without_a_ball_all_are_attacked_at_every_radius_and_nothing_carries_over() -> None:
    model, split = fitted()
    attacks = suite(*RADII, space=RELEASED)
    curve, accuracy = curve_of(attacks)
    assert [point.num_attacked for point in curve.points] == [200] * len(RADII)
    assert robust(accuracy) == robust(measure(model, split, attacks))
    assert not curve.is_epsilon_ball


@pytest.mark.parametrize("space", [Space(), RELEASED], ids=["pixel", "released-code"])
@pytest.mark.parametrize("attack", ["pgd", "fgsm", "mi-fgsm"])
def test_counts_add_up(attack: AttackName, space: Space) -> None:
    _, split = fitted()
    curve, accuracy = curve_of(AttackSuite(RADII, 3, Fraction(2, 255), name=attack, space=space))
    sizes = torch.bincount(split.labels).tolist()
    for confusion in (curve.natural, *(point.confusion for point in curve.points)):
        assert [sum(row) for row in confusion] == sizes
    assert curve.minimal.num_examples == len(split) == curve.num_examples
    assert sum(item.num_examples for item in curve.classes) == len(split)
    assert accuracies(curve) == robust(accuracy)
    assert accuracy.natural == curve.natural_accuracy


def test_in_a_ball_what_is_broken_so_far_is_what_is_missing_from_accuracy() -> None:
    curve, _ = curve_of(suite(*RADII, steps=5))
    for number, accuracy in enumerate(accuracies(curve)):
        broken = curve.minimal.unattacked + sum(curve.minimal.broken[: number + 1])
        assert broken == round(200 * (1 - accuracy))


class Nearest(nn.Module):
    """Three classes by mean brightness: dark, gray, bright."""

    def forward(self, images: Tensor) -> Tensor:
        return -((images.mean((1, 2, 3))[:, None] - torch.tensor([0.4, 0.5, 0.6])) ** 2)


def test_the_confusion_matrix_says_what_a_broken_example_is_taken_for() -> None:
    levels = torch.tensor([112, 112, 127, 127, 143, 143], dtype=torch.uint8)
    split = Split(levels.view(-1, 1, 1, 1).expand(-1, 3, 2, 2).contiguous(), torch.tensor([0, 0, 1, 1, 2, 2]))
    attacks = suite(*parse_radii("0:4/255:4/255"), name="fgsm")
    _, accuracy = exhaust(curve_steps(Nearest(), split, ("dark", "gray", "bright"), attacks, FP32))
    assert accuracy.curve is not None
    assert accuracy.curve.points[0].confusion == ((2, 0, 0), (0, 2, 0), (0, 0, 2))
    assert accuracy.curve.points[1].confusion == ((0, 2, 0), (0, 2, 0), (0, 2, 0))


def test_a_natural_mistake_stays_in_the_column_it_was_made_in() -> None:
    curve, _ = curve_of(suite(Fraction(1, 255), steps=1))
    assert all(
        under_attack >= natural
        for before, after in zip(curve.natural, curve.points[0].confusion, strict=True)
        for index, (natural, under_attack) in enumerate(zip(before, after, strict=True))
        if before is not curve.natural[index]
    )


def test_rows_of_a_confusion_matrix_are_true_classes_and_columns_answers() -> None:
    labels, answers = torch.tensor([0, 0, 2, 2, 2]), torch.tensor([0, 1, 0, 0, 2])
    assert confusion_of(labels, answers, 3) == ((1, 1, 0), (0, 0, 0), (2, 0, 1))


def test_radii_are_measured_in_ascending_order_each_once() -> None:
    shuffled = [Fraction(4, 255), Fraction(1, 255), Fraction(4, 255), Fraction(2, 255)]
    curve, accuracy = curve_of(suite(*shuffled))
    assert [point.epsilon for point in curve.points] == ["1/255", "2/255", "4/255"]
    assert [figure.epsilon for figure in accuracy.robust] == ["1/255", "2/255", "4/255"]


@pytest.mark.parametrize("batch_size", [1, 7, 250])
def test_the_batch_size_does_not_change_what_converges(batch_size: int) -> None:
    attacks = suite(Fraction(2, 255), Fraction(4, 255), steps=20)
    assert curve_of(attacks, 40, batch_size=batch_size)[0] == curve_of(attacks, 40)[0]


def test_where_nothing_survives_the_larger_radii_have_nothing_to_attack() -> None:
    curve, accuracy = curve_of(suite(Fraction(1, 2), Fraction(3, 4), steps=1, name="fgsm"), 40)
    assert [point.num_attacked for point in curve.points] == [36, 0]
    assert robust(accuracy) == [0.0, 0.0]
    assert accuracy.robust[1].largest_distance == 0.0


class Fickle(nn.Module):
    """Answers right the first time it is asked, and wrong from then on."""

    num_calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.num_calls += 1
        score = images.mean((1, 2, 3)) * (1 if self.num_calls == 1 else -1)
        return torch.stack([score, -score], 1)


def test_a_forward_pass_that_cannot_be_repeated_is_found_out_by_a_radius_of_zero() -> None:
    split = Split(torch.full((4, 3, 2, 2), 100, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ClafError, match="attack of epsilon 0 changed predictions"):
        exhaust(curve_steps(Fickle(), split, NAMES, suite(0), FP32))


def test_images_that_are_not_pixels_are_refused() -> None:
    split = Split(torch.full((2, 3, 2, 2), 300.0), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(DataError, match=r"images must lie in \[0, 1\]"):
        exhaust(curve_steps(Linear(), split, NAMES, suite(*RADII), FP32))


def test_every_pulse_of_a_curve_is_a_place_to_leave() -> None:
    model, split = fitted(20)
    pulses, _ = exhaust(curve_steps(model, split, NAMES, suite(*RADII), FP32))
    assert pulses
    assert all(pulse.abandonable for pulse in pulses)


@pytest.mark.parametrize(
    ("attack", "radii", "first"),
    [
        ("pgd", "0:10/255:2/255", None),
        ("pgd", "0:12/255:2/255", "12/255"),
        ("fgsm", "0:1:1/4", None),
        ("mi-fgsm", "0:20/255:10/255", None),
        ("mi-fgsm", "0:30/255:10/255", "30/255"),
    ],
)
def test_a_curve_says_from_where_its_steps_do_not_span_the_ball(
    attack: AttackName, radii: str, first: str | None
) -> None:
    notices = AttackSuite(parse_radii(radii), 10, Fraction(2, 255), name=attack).notices()
    notices = tuple(notice for notice in notices if "do not span" in notice)
    assert [notice.split(" on the attack")[0] for notice in notices] == ([f"from {first}"] if first else [])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("autoattack", None, 3), "a range of --eps is measured with pgd, fgsm, mi-fgsm; give autoattack"),
        (("pgd", "median:2", 3), "a range of --eps is measured without a defence"),
        (("pgd", None, 65), "65 radii are asked for, and at most 64 are measured"),
    ],
)
def test_what_no_curve_is_measured_of_is_refused(arguments: tuple[str, str | None, int], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        require_curve(*arguments)


def test_a_measured_curve_survives_json() -> None:
    curve, _ = curve_of(suite(*RADII))
    record = json.loads(json.dumps(curve.to_record(), allow_nan=False))
    assert Curve.from_record(record) == curve
    assert Curve.from_record(record).to_record() == record


def _keys(value: object) -> Sequence[str]:
    return sorted(value) if isinstance(value, dict) else []


def test_the_keys_of_a_curves_record_are_stable() -> None:
    record = curve_of(suite(*RADII))[0].to_record()
    assert list(record) == [
        "attack",
        "norm",
        "space",
        "is_epsilon_ball",
        "num_examples",
        "class_names",
        "natural",
        "points",
        "classes",
        "minimal_perturbation",
    ]
    assert _keys(record["natural"]) == ["accuracy", "confusion"]
    keys = ["confusion", "epsilon", "notice", "num_attacked", "robust_accuracy", "worst_class"]
    assert _keys(record["points"][0]) == keys
    assert _keys(record["points"][0]["worst_class"]) == ["name", "robust_accuracy"]
    assert _keys(record["classes"][0]) == ["name", "natural_accuracy", "num_examples", "robust_accuracy"]
    assert _keys(record["minimal_perturbation"]) == ["broken", "quartiles", "survivors", "unattacked"]
    assert _keys(record["minimal_perturbation"]["quartiles"]) == ["lower_quartile", "median", "upper_quartile"]
