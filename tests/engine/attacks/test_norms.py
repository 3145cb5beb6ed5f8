import math

import pytest
import torch
from torch import Tensor

from claf_engine.attacks.norms import (
    GAUSSIAN_DEVIATION,
    distances,
    gaussian_noise,
    lengths,
    magnitudes,
    project,
    step,
    uniform_noise,
)
from claf_engine.terms.names import Norm
from tests.engine.attacks.helpers import NORMS, assert_close, random_images, seeded


def vector(*values: float) -> Tensor:
    return torch.tensor(values).view(1, 1, 1, -1)


def test_noise_in_linf_is_uniform_in_the_ball() -> None:
    noise = uniform_noise(torch.zeros(8, 3, 32, 32), 0.1, "linf", seeded()).flatten() / 0.1
    torch.testing.assert_close(noise.sort().values, torch.linspace(-1, 1, len(noise)), rtol=0, atol=0.02)


def test_noise_in_l2_has_a_uniform_radius() -> None:
    noise = uniform_noise(torch.zeros(2000, 3, 2, 2), 0.5, "l2", seeded())
    radii = distances(noise, torch.zeros_like(noise), "l2") / 0.5
    torch.testing.assert_close(radii.sort().values, torch.linspace(0, 1, 2000), rtol=0, atol=0.03)


def test_noise_in_l2_has_a_direction_without_preference() -> None:
    noise = uniform_noise(torch.zeros(4000, 3, 1, 1), 1.0, "l2", seeded())
    directions = (noise / lengths(noise)).flatten(1)
    torch.testing.assert_close(directions.T @ directions / 4000, torch.eye(3) / 3, rtol=0, atol=0.02)
    torch.testing.assert_close(directions.mean(0), torch.zeros(3), rtol=0, atol=0.03)


def test_noise_in_linf_is_what_a_slow_loop_gives() -> None:
    draws = torch.rand(192, generator=seeded(4)).tolist()
    expected = torch.tensor([-0.1 + 0.2 * draw for draw in draws])
    assert_close(uniform_noise(random_images(1), 0.1, "linf", seeded(4)).flatten(), expected)


def test_noise_in_l2_is_what_a_slow_loop_gives() -> None:
    images, generator = random_images(1), seeded(4)
    draws = torch.randn(4, 48, generator=generator)
    radii = torch.rand(4, generator=generator)
    expected = [
        [0.5 * radius * value / math.sqrt(sum(other * other for other in draw)) for value in draw]
        for draw, radius in zip(draws.tolist(), radii.tolist(), strict=True)
    ]
    assert_close(uniform_noise(images, 0.5, "l2", seeded(4)).flatten(1), torch.tensor(expected))


def test_gaussian_noise_has_its_deviation() -> None:
    noise = gaussian_noise(torch.zeros(8, 3, 32, 32), seeded())
    assert abs(float(noise.std()) / GAUSSIAN_DEVIATION - 1) < 0.02
    assert abs(float(noise.mean())) < 0.02 * GAUSSIAN_DEVIATION


@pytest.mark.parametrize("norm", NORMS)
def test_noise_differs_from_image_to_image(norm: Norm) -> None:
    noise = uniform_noise(torch.zeros(2, 3, 4, 4), 0.5, norm, seeded())
    assert not torch.equal(noise[0], noise[1])


def test_a_step_in_linf_moves_every_coordinate_but_those_without_a_gradient() -> None:
    moved = step(torch.full((1, 1, 1, 3), 0.5), vector(-1e-9, 0, 5), 0.1, "linf")
    assert_close(moved, vector(0.4, 0.5, 0.6))


def test_a_step_in_l2_has_the_length_of_the_step_size() -> None:
    moved = step(torch.full((1, 1, 1, 2), 0.5), vector(3e-4, -4e-4), 0.1, "l2")
    assert_close(moved, vector(0.56, 0.42))


@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e-13, 1e19, 1e30])
def test_a_step_in_l2_has_its_length_however_small_or_large_the_gradient(scale: float) -> None:
    moved = step(torch.full((1, 1, 1, 2), 0.5), scale * vector(3.0, -4.0), 0.1, "l2")
    assert_close(moved, vector(0.56, 0.42))


def test_a_gradient_of_ordinary_size_is_left_bit_for_bit() -> None:
    gradients = torch.cat([vector(0.0, 0.0), vector(3e-12, 0.0), vector(3e18, 4.0)])
    assert magnitudes(gradients).eq(1).all()


@pytest.mark.parametrize("norm", NORMS)
def test_without_a_gradient_no_step_is_taken(norm: Norm) -> None:
    images = random_images(0)
    assert torch.equal(step(images, torch.zeros_like(images), 0.1, norm), images)


@pytest.mark.parametrize("norm", NORMS)
def test_a_gradient_that_is_not_a_number_is_not_taken_for_none(norm: Norm) -> None:
    origin = torch.full((1, 1, 1, 2), 0.5)
    moved = project(step(origin, vector(float("nan"), 1.0), 0.1, norm), origin, 0.2, norm)
    assert moved.isnan().any()


@pytest.mark.parametrize("norm", NORMS)
def test_a_point_of_the_ball_and_the_range_is_its_own_projection(norm: Norm) -> None:
    origin = vector(0.5, 0.5)
    point = vector(0.55, 0.45)
    assert_close(project(point, origin, 0.1, norm), point)


def test_projection_in_linf_goes_to_the_nearest_side() -> None:
    assert_close(project(vector(0.9, 0.45), vector(0.5, 0.5), 0.1, "linf"), vector(0.6, 0.45))


def test_projection_in_l2_goes_along_the_radius() -> None:
    assert_close(project(vector(0.8, 0.1), vector(0.5, 0.5), 0.1, "l2"), vector(0.56, 0.42))


def test_projection_in_l2_takes_every_image_for_itself() -> None:
    origin = torch.full((2, 1, 1, 2), 0.5)
    point = torch.cat([vector(0.8, 0.1), vector(0.5, 0.6)])
    assert_close(project(point, origin, 0.2, "l2"), torch.cat([vector(0.62, 0.34), vector(0.5, 0.6)]))


@pytest.mark.parametrize(
    ("norm", "expected"), [("linf", vector(1.0, 0.3)), ("l2", vector(1.0, 0.5 - 0.2 / math.sqrt(2)))]
)
def test_the_ball_comes_before_the_range(norm: Norm, expected: Tensor) -> None:
    # The first coordinate is cut off at 1 only after the second has been brought back into the ball.
    assert_close(project(vector(1.4, 0.0), vector(0.9, 0.5), 0.2, norm), expected)


def test_distances_are_those_of_each_image() -> None:
    ones = torch.cat([vector(0.0, 0.0), vector(0.5, 0.5)])
    others = torch.cat([vector(0.3, -0.4), vector(0.5, 0.6)])
    assert_close(distances(ones, others, "linf"), torch.tensor([0.4, 0.1]))
    assert_close(distances(ones, others, "l2"), torch.tensor([0.5, 0.1]))
    assert_close(distances(ones, others, "l1"), torch.tensor([0.7, 0.1]))


@pytest.mark.parametrize("norm", NORMS)
def test_the_distance_to_an_image_that_is_not_finite_is_not_finite(norm: Norm) -> None:
    assert not distances(vector(0.0, 0.0), vector(float("nan"), 0.5), norm).isfinite().any()


def test_lengths_are_never_zero() -> None:
    assert lengths(torch.zeros(2, 3, 4, 4)).min() > 0
