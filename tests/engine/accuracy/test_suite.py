"""Accuracy under every kind of attack: what the figures mean, and what they refuse to mean."""

from collections.abc import Generator
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from claf_engine.accuracy.suite import AttackSuite, Distances
from claf_engine.attacks import RELEASED_CODE, Attack, Space, make_attack, require_ball
from claf_engine.data import Split
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import ClafError
from claf_engine.terms.names import AttackName, Norm
from tests.engine.known_accuracy import Linear, Reader, gray_images, linear_robust_accuracy, measure, robust, suite
from tests.properties import examples

EPSILON = Fraction(8, 255)
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
RELEASED = Space(RELEASED_CODE, MEAN, STD)
LINEAR_ATTACKS: list[tuple[AttackName, Norm, Fraction]] = [
    *(("pgd", "linf", Fraction(n, 255)) for n in (1, 4, 8, 16)),
    *(("fgsm", "linf", Fraction(n, 255)) for n in (1, 8)),
    *(("mi-fgsm", "linf", Fraction(n, 255)) for n in (1, 8)),
    *(("pgd", "l2", Fraction(n, 100)) for n in (2, 5, 10)),
    *(("fgsm", "l2", Fraction(n, 100)) for n in (2, 10)),
    *(("mi-fgsm", "l2", Fraction(n, 100)) for n in (2, 10)),
]


@pytest.mark.parametrize(("name", "norm", "epsilon"), LINEAR_ATTACKS)
def test_a_linear_model_has_the_robust_accuracy_of_its_closed_form(
    name: AttackName, norm: Norm, epsilon: Fraction
) -> None:
    model, split = Linear(), gray_images()
    attacks = AttackSuite((epsilon,), 20, None, name=name, norm=norm)
    assert robust(measure(model, split, attacks)) == [linear_robust_accuracy(model, split, epsilon, norm)]


def test_the_linear_model_of_these_tests_is_partly_robust() -> None:
    model, split = Linear(), gray_images()
    figures = [linear_robust_accuracy(model, split, Fraction(n, 255)) for n in (0, 1, 4, 8)]
    assert all(one > other > 0 for one, other in zip(figures, figures[1:], strict=False))


@pytest.mark.parametrize(
    ("name", "step_size", "expected"),
    [
        ("pgd", Fraction(2, 255), (20, "2/255")),
        ("pgd", None, (20, "2/255")),
        ("fgsm", Fraction(2, 255), (1, "8/255")),
        ("mi-fgsm", None, (20, "2/1275")),
    ],
)
def test_a_figure_tells_the_steps_that_were_taken(
    name: AttackName, step_size: Fraction | None, expected: tuple[int, str]
) -> None:
    (figure,) = measure(Linear(), gray_images(8), AttackSuite((EPSILON,), 20, step_size, name=name)).robust
    assert (figure.attack, figure.steps, figure.step_size) == (name, *expected)


def test_a_figure_tells_norm_and_space() -> None:
    (in_l2,) = measure(Linear(), gray_images(8), suite(Fraction(1, 10), norm="l2")).robust
    (as_released,) = measure(Linear(), gray_images(8), suite(EPSILON, space=RELEASED)).robust
    assert (in_l2.norm, in_l2.space, in_l2.is_in_a_ball) == ("l2", "pixel", True)
    assert (as_released.norm, as_released.space, as_released.is_in_a_ball) == ("linf", "released-code", False)


def test_more_restarts_never_raise_robust_accuracy() -> None:
    model, split = Linear(), gray_images()
    figures = [robust(measure(model, split, suite(EPSILON, steps=1, restarts=number)))[0] for number in (1, 2, 4, 8)]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > figures[-1], "restarts do something"


def test_restarts_never_go_below_the_worst_case() -> None:
    model, split = Linear(), gray_images()
    figure = measure(model, split, suite(EPSILON, steps=1, restarts=20))
    assert robust(figure)[0] >= linear_robust_accuracy(model, split, EPSILON)


NUM_EXAMPLES = 6


def numbered_images() -> Split:
    """Just dark enough to be of class 0; the blue value is the example's number."""
    images = torch.full((NUM_EXAMPLES, 3, 2, 2), 125, dtype=torch.uint8)
    images[:, 2] = torch.arange(NUM_EXAMPLES).view(-1, 1, 1)
    return Split(images, torch.zeros(NUM_EXAMPLES, dtype=torch.int64))


class Scripted:
    """Stands in for the attack: each restart breaks the examples that the plan says."""

    def __init__(self, plan: list[set[int]]) -> None:
        self.plan = plan
        self.tried: list[list[int]] = []

    def __call__(
        self, model: nn.Module, images: Tensor, labels: Tensor, spec: Attack, *_: object
    ) -> Generator[Pulse, None, Tensor]:
        yield Pulse("scripted")
        numbers = (images[:, 2, 0, 0] * 255).round().int().tolist()
        broken = torch.tensor([number in self.plan[len(self.tried)] for number in numbers])
        self.tried.append(numbers)
        return images + float(spec.epsilon) * broken.view(-1, 1, 1, 1)


def survivors(plan: list[set[int]]) -> float:
    """Robust accuracy of the numbered images, in examples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("claf_engine.accuracy.measure.attack_steps", Scripted(plan))
        (figure,) = measure(Reader(), numbered_images(), suite(EPSILON, restarts=len(plan))).robust
    return figure.accuracy * NUM_EXAMPLES


@examples(40)
@given(st.lists(st.sets(st.integers(0, NUM_EXAMPLES - 1)), min_size=1, max_size=4))
def test_an_example_is_robust_only_if_every_restart_fails_on_it(plan: list[set[int]]) -> None:
    together = survivors(plan)
    assert together == pytest.approx(NUM_EXAMPLES - len(set().union(*plan)))
    assert together <= min(survivors([restart]) for restart in plan)


def test_what_one_restart_broke_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Scripted([{0, 3}, {1}, set()])
    monkeypatch.setattr("claf_engine.accuracy.measure.attack_steps", script)
    measure(Reader(), numbered_images(), suite(EPSILON, restarts=3))
    assert script.tried == [[0, 1, 2, 3, 4, 5], [1, 2, 4, 5], [2, 4, 5]]


class Glaring(nn.Module):
    """Class 1 where the red value of the first pixel is nearly white, which no image is after the clamp."""

    def forward(self, images: Tensor) -> Tensor:
        level = images[:, :1, 0, 0]
        return torch.cat([0.9 - level, level - 0.9], dim=1)


def bright_and_gray() -> Split:
    """Two white and two gray images, all of class 0: `Glaring` is right about the gray ones."""
    images = torch.full((4, 3, 2, 2), 128, dtype=torch.uint8)
    images[:2] = 255
    return Split(images, torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize("epsilon", [Fraction(0), EPSILON])
def test_in_the_released_space_examples_count_that_were_wrong_before_the_attack(epsilon: Fraction) -> None:
    figures = measure(Glaring(), bright_and_gray(), suite(epsilon, space=RELEASED))
    assert (figures.natural, robust(figures)) == (0.5, [1.0])


def test_in_pixel_space_they_do_not() -> None:
    figures = measure(Glaring(), bright_and_gray(), suite(0, EPSILON))
    assert (figures.natural, robust(figures)) == (0.5, [0.5, 0.5])


def test_in_the_released_space_a_radius_of_zero_may_cost_accuracy() -> None:
    split = Split(bright_and_gray().images, torch.tensor([1, 1, 0, 0]))
    figures = measure(Glaring(), split, suite(0, space=RELEASED))
    assert (figures.natural, robust(figures)) == (1.0, [0.5])


def test_distances_in_a_figure_are_those_of_the_attack() -> None:
    (figure,) = measure(Linear(), gray_images(), suite(EPSILON, name="fgsm")).robust
    assert (figure.largest_distance, figure.mean_distance) == (0.031373, 0.031373)


def test_the_distance_of_an_l2_figure_is_still_linf() -> None:
    model = Linear()
    weight = (model.layer.weight[0] - model.layer.weight[1]).detach()
    (figure,) = measure(model, gray_images(), suite(Fraction(1, 10), name="fgsm", norm="l2")).robust
    assert figure.largest_distance == pytest.approx(float(weight.abs().max() / weight.norm() / 10), abs=2e-6)


def test_the_distance_of_the_released_space_is_the_true_one_between_images() -> None:
    split = gray_images(5)
    moved = [
        max(
            abs(min(max(value / 255, MEAN[channel]), MEAN[channel] + STD[channel]) - value / 255)
            for channel, values in enumerate(image.flatten(1).tolist())
            for value in values
        )
        for image in split.images
    ]
    (figure,) = measure(Linear(), split, suite(0, space=RELEASED)).robust
    assert figure.largest_distance == pytest.approx(max(moved), abs=2e-6)
    assert figure.mean_distance == pytest.approx(sum(moved) / 5, abs=2e-6)


def test_where_nothing_was_attacked_distances_are_zero() -> None:
    split = Split(torch.zeros(4, 3, 2, 2, dtype=torch.uint8), torch.ones(4, dtype=torch.int64))
    (figure,) = measure(Reader(), split, suite(EPSILON)).robust
    assert (figure.largest_distance, figure.mean_distance) == (0.0, 0.0)


def test_distances_are_gathered_over_batches() -> None:
    moved = Distances()
    for shift in (0.1, -0.2, 0.3):
        images = torch.full((2, 3, 2, 2), 0.5)
        moved.add(images, images + torch.tensor([0.0, shift]).view(2, 1, 1, 1))
    assert (moved.largest, moved.mean) == pytest.approx((0.3, 0.1))


GRAY = torch.full((2, 3, 4, 4), 0.5)
PGD, PGD_L2 = make_attack("pgd", EPSILON), make_attack("pgd", Fraction(1, 2), norm="l2")


@pytest.mark.parametrize(
    ("spec", "shift", "complaint"),
    [
        (PGD, 9 / 255, r"^PGD-10 at 8/255 left the ball: an attacked image lies 0\.035294 from its original$"),
        (PGD, 8 / 255 + 2e-6, "left the ball"),
        (PGD_L2, 0.1, r"^PGD-10 L2 at 0\.5 left the ball: an attacked image lies 0\.692820"),
        (PGD, float("nan"), "^PGD-10 at 8/255 gave an image that is not finite: "),
        (PGD_L2, float("inf"), "not finite"),
        (make_attack("pgd", EPSILON, space=RELEASED), float("nan"), "not finite"),
        (make_attack("pgd", Fraction(1)), 0.6, r"left \[0, 1\]: attacked images lie in \[0\.5\d*, 1\.1\d*\]$"),
        (make_attack("pgd", Fraction(1)), -0.6, r"left \[0, 1\]"),
    ],
)
def test_an_attacked_image_that_is_not_what_its_figure_says_is_refused(
    spec: Attack, shift: float, complaint: str
) -> None:
    adversarial = GRAY.clone()
    adversarial[1] += shift
    with pytest.raises(ClafError, match=complaint):
        require_ball(GRAY, adversarial, spec)


@pytest.mark.parametrize(
    ("spec", "shift"),
    [(PGD, 8 / 255 + 5e-7), (PGD_L2, 0.07), (make_attack("pgd", EPSILON, space=RELEASED), 0.4)],
)
def test_rounding_is_forgiven_and_the_released_space_promises_no_ball(spec: Attack, shift: float) -> None:
    require_ball(GRAY, GRAY + shift, spec)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_broken_attack_gives_no_figure(monkeypatch: pytest.MonkeyPatch, norm: Norm) -> None:
    def broken(model: nn.Module, images: Tensor, *_: object) -> Generator[Pulse, None, Tensor]:
        yield Pulse("broken")
        return images + 0.1

    monkeypatch.setattr("claf_engine.accuracy.measure.attack_steps", broken)
    with pytest.raises(ClafError, match="left the ball"):
        measure(Linear(), gray_images(), suite(Fraction(9, 100), norm=norm))


class NotDifferentiable(Linear):
    """Right logits with gradients that are not numbers."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + (images * 0).flatten(1).sum(1, keepdim=True).sqrt()


def test_a_model_whose_gradients_are_not_numbers_gives_no_figure() -> None:
    with pytest.raises(ClafError, match="not finite"):
        measure(NotDifferentiable(), gray_images(), suite(EPSILON))


class Constant(nn.Module):
    """Always class 0."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).sum(1, keepdim=True) * torch.tensor([0.0, 1e-9]) + torch.tensor([1.0, 0.0])


def test_gradients_come_from_the_target() -> None:
    model, reversed_model, split = Linear(), Linear(), gray_images()
    reversed_model.layer.weight.data.neg_()
    misled = measure(model, split, suite(EPSILON, steps=10), gradient_source=reversed_model)
    assert robust(misled) == [misled.natural]
    assert robust(measure(model, split, suite(EPSILON, steps=10))) < [misled.natural]


def test_whether_an_attack_succeeded_the_model_says() -> None:
    split = Split(gray_images().images, torch.zeros(200, dtype=torch.int64))
    figures = measure(Constant(), split, suite(EPSILON), gradient_source=Linear())
    assert (figures.natural, robust(figures)) == (1.0, [1.0])


def test_an_attack_on_a_stand_in_breaks_a_model_without_gradients() -> None:
    class Rounded(Linear):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward((images * 255).round() / 255)

    model, split = Rounded(), gray_images()
    alone = measure(model, split, suite(EPSILON, steps=10))
    helped = measure(model, split, suite(EPSILON, steps=10), gradient_source=Linear())
    assert robust(helped) == [linear_robust_accuracy(model, split, EPSILON)]
    assert robust(helped) < robust(alone)
