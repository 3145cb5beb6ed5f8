from fractions import Fraction

import pytest
import torch
from hypothesis import given
from torch import Tensor

from claf_engine.attacks import PIXEL, RELEASED_CODE, Attack, make_attack, require_pixels, space_of
from claf_engine.config import ModelConfig
from claf_engine.models.modes import evaluating
from tests.engine.attacks import slow
from tests.engine.attacks.helpers import (
    LABELS,
    MEAN,
    PROPERTY,
    RELEASED,
    ROUNDING,
    SEEDS,
    STD,
    Normalised,
    assert_close,
    convolutional_model,
    craft,
    random_images,
    seeded,
    specs,
)

LOW = torch.tensor(MEAN).view(3, 1, 1)
SCALE = torch.tensor(STD).view(3, 1, 1)
EPSILON, STEP = Fraction(8, 255), Fraction(2, 255)


def attacked_as_released(steps: int, epsilon: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images and what the released code's arithmetic makes of them."""
    images = random_images(seed)
    spec = Attack(Fraction(epsilon, 255), STEP, steps, space=RELEASED)
    return images, craft(Normalised(convolutional_model()), images, LABELS, spec, seed=5)


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_the_released_code_is_what_a_slow_loop_in_normalised_values_gives(steps: int) -> None:
    images, ours = attacked_as_released(steps)
    noise = ((torch.rand(images.shape, generator=seeded(5)) * 2 - 1) * 8 / 255).flatten(1).tolist()
    network = convolutional_model()
    with evaluating(network):
        attacked = slow.each_image(
            network,
            (images - LOW) / SCALE,
            LABELS,
            lambda climb, image, i: slow.released_code(climb, image, noise[i], 8 / 255, 2 / 255, steps),
        )
    assert_close(ours, attacked * SCALE + LOW)


def test_clamping_alone_moves_images_whose_normalised_values_lie_outside_the_range() -> None:
    images, attacked = attacked_as_released(steps=1, epsilon=0)
    normalised = (images - LOW) / SCALE
    inside = (normalised >= 0) & (normalised <= 1)
    assert_close(attacked, normalised.clamp(0, 1) * SCALE + LOW)
    assert_close(attacked[inside], images[inside])
    assert (attacked - images)[~inside].abs().min() > ROUNDING
    assert 0.5 < (~inside).double().mean() < 1, "most pixels of these images are clamped, and some are not"


def test_its_epsilon_is_no_distance_between_images() -> None:
    images, attacked = attacked_as_released(steps=4)
    assert (attacked - images).abs().flatten(1).amax(1).min() > 60 / 255


def test_where_normalised_values_lie_in_range_its_radius_is_epsilon_deviations() -> None:
    images = LOW + SCALE * (0.2 + 0.6 * random_images(1))
    spec = Attack(EPSILON, STEP, 10, space=RELEASED)
    moved = (craft(Normalised(convolutional_model()), images, LABELS, spec) - images).abs()
    largest = moved.amax((0, 2, 3))
    assert_close(largest, torch.tensor(STD) * 8 / 255)


@PROPERTY
@given(specs(RELEASED), SEEDS)
def test_every_attacked_image_lies_between_mean_and_mean_plus_deviation(spec: Attack, seed: int) -> None:
    images = random_images(seed).round()
    attacked = craft(Normalised(convolutional_model(seed)), images, LABELS, spec)
    if spec.start == "none" and spec.steps == 0:
        assert_close(attacked, images)
        return
    assert (attacked >= LOW - ROUNDING).all()
    assert (attacked <= LOW + SCALE + ROUNDING).all()
    require_pixels(attacked)


def test_without_a_random_start_its_first_gradient_is_taken_at_the_image_itself() -> None:
    images = random_images(2)
    seen: list[Tensor] = []

    class Spy(Normalised):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images.detach().clone())
            return super().forward(images)

    craft(Spy(convolutional_model()), images, LABELS, make_attack("fgsm", EPSILON, space=RELEASED))
    assert_close(seen[0], images)


def test_in_l2_the_gradient_is_the_one_by_normalised_values() -> None:
    images = LOW + SCALE * (0.3 + 0.4 * random_images(3))
    inner, labels = convolutional_model().eval(), LABELS
    spec = make_attack("fgsm", Fraction(1, 10), norm="l2", space=RELEASED)
    coordinates = ((images - LOW) / SCALE).requires_grad_(True)
    loss = torch.nn.functional.cross_entropy(inner(coordinates), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, coordinates)
    step = 0.1 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    expected = images + SCALE * step
    assert_close(craft(Normalised(inner), images, labels, spec), expected)


def test_leaving_a_space_undoes_entering_it() -> None:
    images = random_images(4)
    assert_close(RELEASED.leave(RELEASED.enter(images)), images)


def test_pixel_space_is_the_image_itself() -> None:
    images = random_images(4)
    assert all(torch.equal(move(images), images) for move in (PIXEL.enter, PIXEL.leave, PIXEL.pull_back))


def test_the_released_space_of_a_network_has_its_means_and_deviations() -> None:
    space = space_of(RELEASED_CODE, ModelConfig(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)))
    assert (space.offset, space.scale, space.is_pixel) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), False)


def test_the_pixel_space_of_any_network_is_the_same() -> None:
    assert space_of("pixel", ModelConfig()) == PIXEL
