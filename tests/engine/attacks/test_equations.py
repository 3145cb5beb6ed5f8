"""The attacks against the equations of their papers: evaluated slowly, and in closed form."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

from claf_engine.attacks import Attack, ascent_steps, make_attack
from claf_engine.attacks.loop import mean_size, start
from claf_engine.attacks.spec import Start
from tests.engine.attacks import slow
from tests.engine.attacks.helpers import (
    LABELS,
    PROPERTY,
    SEEDS,
    STARTS,
    assert_close,
    convolutional_model,
    craft,
    grey_images,
    linear_model,
    random_images,
    seeded,
)
from tests.engine.tiny import exhaust

EPSILON = Fraction(8, 255)


@pytest.mark.parametrize("begin", STARTS)
def test_pgd_is_what_a_slow_loop_over_images_and_pixels_gives(begin: Start) -> None:
    model, images = convolutional_model().eval(), random_images(2)
    spec = Attack(EPSILON, Fraction(3, 255), 4, begin)
    starts = start(images, spec, seeded(5)).flatten(1).tolist()
    expected = slow.each_image(
        model, images, LABELS, lambda climb, image, i: slow.pgd_linf(climb, image, starts[i], 8 / 255, 3 / 255, 4)
    )
    assert_close(craft(model, images, LABELS, spec, seed=5), expected)


@pytest.mark.parametrize("begin", STARTS)
def test_pgd_in_l2_is_what_a_slow_loop_over_images_and_pixels_gives(begin: Start) -> None:
    model, images = convolutional_model().eval(), random_images(2)
    spec = Attack(Fraction(1, 2), Fraction(1, 5), 6, begin, "l2")
    starts = start(images, spec, seeded(5)).flatten(1).tolist()
    expected = slow.each_image(
        model, images, LABELS, lambda climb, image, i: slow.pgd_l2(climb, image, starts[i], 0.5, 0.2, 6)
    )
    assert_close(craft(model, images, LABELS, spec, seed=5), expected)


@pytest.mark.parametrize("begin", ["none", "uniform", "gaussian"])
def test_pgd_in_l1_is_what_a_slow_loop_over_images_and_pixels_gives(begin: Start) -> None:
    model, images = convolutional_model().eval(), random_images(2)
    spec = Attack(Fraction(2), Fraction(1, 2), 6, begin, "l1")
    starts = start(images, spec, seeded(5)).flatten(1).tolist()
    expected = slow.each_image(
        model, images, LABELS, lambda climb, image, i: slow.pgd_l1(climb, image, starts[i], 2.0, 0.5, 6)
    )
    assert_close(craft(model, images, LABELS, spec, seed=5), expected)


def test_fgsm_is_what_a_slow_loop_over_images_and_pixels_gives() -> None:
    model, images = convolutional_model().eval(), random_images(1)
    expected = slow.each_image(model, images, LABELS, lambda climb, image, _: slow.fgsm(climb, image, 8 / 255))
    assert_close(craft(model, images, LABELS, make_attack("fgsm", EPSILON)), expected)


@pytest.mark.parametrize("steps", [1, 5, 10])
def test_mi_fgsm_is_what_a_slow_loop_over_images_and_pixels_gives(steps: int) -> None:
    model, images = convolutional_model().eval(), random_images(3)
    expected = slow.each_image(
        model, images, LABELS, lambda climb, image, _: slow.mi_fgsm(climb, image, 32 / 255, steps)
    )
    assert_close(craft(model, images, LABELS, make_attack("mi-fgsm", Fraction(32, 255), steps=steps)), expected)


def test_momentum_changes_where_the_attack_ends() -> None:
    model, images = convolutional_model(), random_images(3)
    plain, kept = (
        craft(model, images, LABELS, Attack(EPSILON * 8, EPSILON, 8, "none", momentum=momentum))
        for momentum in (None, 1.0)
    )
    assert not torch.equal(plain, kept)


def test_momentum_of_zero_is_the_plain_attack() -> None:
    model, images = convolutional_model(), random_images(3)
    plain, kept = (
        craft(model, images, LABELS, Attack(EPSILON, EPSILON, 4, momentum=momentum)) for momentum in (None, 0.0)
    )
    assert torch.equal(plain, kept)


def test_each_gradient_enters_the_momentum_with_the_same_weight() -> None:
    gradients = iter([torch.tensor([1e-6, 3e-6]), torch.tensor([2e3, -6e3])])

    def climb(images: Tensor) -> Tensor:
        return next(gradients).view_as(images)

    # 1-norms of one: (0.25, 0.75) + (0.25, -0.75); the second pixel is left where the first step took it.
    image = torch.full((1, 1, 1, 2), 0.5)
    spec = Attack(Fraction(1, 2), Fraction(1, 10), 2, "none", momentum=1.0)
    _, adversarial = exhaust(ascent_steps(climb, image, spec, seeded()))
    assert_close(adversarial.flatten(), torch.tensor([0.7, 0.6]))


def test_the_size_of_a_gradient_is_never_zero() -> None:
    assert mean_size(torch.zeros(2, 3, 4, 4)).min() > 0


@pytest.mark.parametrize("begin", ["uniform", "none"])
@PROPERTY
@given(seed=SEEDS)
def test_on_a_linear_model_pgd_reaches_the_best_corner_of_the_ball(seed: int, begin: Start) -> None:
    model, images, labels = linear_model(seed), random_images(seed), torch.tensor([0, 1, 1, 0])
    level, steps = 1 + seed % 64, 2 + seed % 7
    epsilon = Fraction(level, 255)
    spec = Attack(epsilon, 2 * epsilon / steps, steps, begin)
    expected = (images + float(epsilon) * margin_direction(model, images, labels).sign()).clamp(0, 1)
    assert_close(craft(model, images, labels, spec), expected)


@PROPERTY
@given(seed=SEEDS)
def test_on_a_linear_model_mi_fgsm_reaches_the_best_corner_of_the_ball(seed: int) -> None:
    model, images, labels = linear_model(seed), random_images(seed), torch.tensor([0, 1, 1, 0])
    expected = (images + float(EPSILON) * margin_direction(model, images, labels).sign()).clamp(0, 1)
    assert_close(craft(model, images, labels, make_attack("mi-fgsm", EPSILON)), expected)


@pytest.mark.parametrize("begin", ["uniform", "none"])
@PROPERTY
@given(seed=SEEDS)
def test_on_a_linear_model_pgd_in_l2_goes_epsilon_along_the_gradient(seed: int, begin: Start) -> None:
    model, images, labels = linear_model(seed), grey_images(seed), torch.tensor([0, 1, 1, 0])
    direction = margin_direction(model, images, labels)
    direction = direction / direction.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    spec = Attack(Fraction(1, 3), Fraction(1), 20, begin, "l2")
    torch.testing.assert_close(craft(model, images, labels, spec), images + direction / 3, rtol=0, atol=1e-5)


def margin_direction(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """What raises the other class's logit above the true one's fastest, in a linear model of two classes."""
    weight: Tensor = model[1].weight.detach()  # type: ignore[index]
    return (weight[1 - labels] - weight[labels]).view_as(images)
