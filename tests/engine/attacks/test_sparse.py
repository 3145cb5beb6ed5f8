"""The L1 ball within the box, against slow solvers that know nothing of sorted corners."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from claf_engine.attacks.norms import distances, project, rounding, step
from claf_engine.attacks.sparse import l1_noise, project_l1, sparse_direction
from tests.engine.attacks import slow
from tests.engine.attacks.helpers import PROPERTY, SEEDS, assert_close, random_images, seeded
from tests.engine.attacks.test_norms import vector

RADII = st.one_of(st.just(0.0), st.floats(1e-3, 30.0))
SLACK = rounding("l1", 48)


def scattered(seed: int, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    """Points anywhere, and origins of which every third value is black or white."""
    origin = (random_images(seed) * 1.5 - 0.25).clamp(0, 1)
    return origin + spread * torch.randn(origin.shape, generator=seeded(seed + 1)), origin


@given(SEEDS, RADII, st.floats(0.01, 3.0))
@PROPERTY
def test_the_projection_is_what_bisection_of_each_image_gives(seed: int, epsilon: float, spread: float) -> None:
    points, origins = scattered(seed, spread)
    pairs = zip(points.flatten(1).tolist(), origins.flatten(1).tolist(), strict=True)
    expected = torch.tensor([slow.nearest_in_l1(point, origin, epsilon) for point, origin in pairs])
    assert_close(project_l1(points, origins, epsilon).flatten(1), expected)


@given(SEEDS, RADII, st.floats(0.01, 3.0))
@PROPERTY
def test_a_projection_lies_in_ball_and_box_and_is_its_own(seed: int, epsilon: float, spread: float) -> None:
    points, origins = scattered(seed, spread)
    found = project_l1(points, origins, epsilon)
    assert distances(found, origins, "l1").max() <= epsilon + SLACK
    assert torch.equal(found, found.clamp(0, 1))
    assert_close(project_l1(found, origins, epsilon), found)


@given(SEEDS, st.floats(0.1, 10.0))
@PROPERTY
def test_no_other_point_of_ball_and_box_is_nearer(seed: int, epsilon: float) -> None:
    points, origins = scattered(seed)
    nearest = distances(project_l1(points, origins, epsilon), points, "l2")
    for other in range(20):
        noise = l1_noise(origins, epsilon, seeded(other))
        inside = (origins + noise).clamp(0, 1)
        assert (distances(inside, points, "l2") >= nearest - 1e-5).all()


def solved_in_l1(point: Any, origin: Any, epsilon: float) -> Any:
    """The nearest point by a general solver, of displacements as differences of two parts that are not negative."""
    from scipy.optimize import minimize

    size, target = len(point), point - origin

    def gap(parts: Any) -> Any:
        return parts[:size] - parts[size:] - target

    found = minimize(
        lambda parts: 0.5 * (gap(parts) ** 2).sum(),
        [0.0] * (2 * size),
        jac=lambda parts: [*gap(parts), *-gap(parts)],
        bounds=[*((0, 1 - value) for value in origin), *((0, value) for value in origin)],
        constraints={"type": "ineq", "fun": lambda parts: epsilon - parts.sum(), "jac": lambda parts: 0 * parts - 1},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    return origin + found.x[:size] - found.x[size:]


def test_the_projection_is_what_a_general_solver_gives() -> None:
    points, origins = (values[..., :2, :2].double() for values in scattered(3))
    found = project_l1(points, origins, 2.0).flatten(1)
    for each, point, origin in zip(found, points.flatten(1), origins.flatten(1), strict=True):
        expected = torch.from_numpy(solved_in_l1(point.numpy(), origin.numpy(), 2.0))
        torch.testing.assert_close(each, expected, rtol=0, atol=1e-5)


def test_what_one_projection_after_the_other_leaves_out_is_used() -> None:
    # The first value has no room: brought back into the ball first, half of the radius would be cut off at the border.
    assert_close(project(vector(2.0, 1.5), vector(1.0, 0.5), 0.4, "l1"), vector(1.0, 0.9))


def test_a_point_of_ball_and_box_stays_bit_for_bit() -> None:
    origin = random_images(1)
    inside = (origin + l1_noise(origin, 0.5, seeded())).clamp(0, 1)
    assert torch.equal(project_l1(inside, origin, 0.6), inside)


def test_a_ball_of_radius_0_holds_its_origin_alone() -> None:
    points, origins = scattered(5)
    assert torch.equal(project_l1(points, origins, 0.0), origins)


def test_the_projection_of_an_image_that_is_not_finite_is_not() -> None:
    points, origins = scattered(5)
    points[0, 0, 0, 0] = float("nan")
    assert project_l1(points, origins, 1.0)[0].isnan().any()
    assert project_l1(points, origins, 1.0)[1:].isfinite().all()


def test_noise_is_uniform_in_the_ball() -> None:
    # Of a uniform point of a ball in D dimensions the D-th power of its radius is uniform.
    noise = l1_noise(torch.zeros(4000, 3, 1, 1), 2.0, seeded())
    radii = distances(noise, torch.zeros_like(noise), "l1") / 2
    torch.testing.assert_close((radii**3).sort().values, torch.linspace(0, 1, 4000), rtol=0, atol=0.03)
    directions = (noise.abs() / noise.abs().sum(1, keepdim=True)).flatten(1)
    torch.testing.assert_close(directions.mean(0), torch.full((3,), 1 / 3), rtol=0, atol=0.02)
    assert abs(float(noise.sign().mean())) < 0.03


def test_a_step_goes_into_the_steepest_coordinates_alone() -> None:
    origin = torch.full((1, 1, 10, 20), 0.5)
    gradient = torch.arange(200.0).view_as(origin) - 150
    moved = step(origin, gradient, 0.1, "l1") - origin  # one in a hundred, of two hundred
    assert_close(moved.flatten()[:2], torch.tensor([-0.05, -0.05]))
    assert int((moved != 0).sum()) == 2
    assert_close(distances(moved, torch.zeros_like(moved), "l1"), torch.tensor([0.1]))


def test_a_coordinate_at_the_border_that_cannot_move_is_passed_over() -> None:
    point, gradient = vector(1.0, 0.0, 1.0, 0.5), vector(9.0, -8.0, -2.0, 1.0)
    assert_close(sparse_direction(point, gradient), vector(0.0, 0.0, -1.0, 0.0))


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
def test_the_direction_is_what_a_slow_loop_gives(share: float) -> None:
    points, _ = scattered(2)
    points, gradients = points.clamp(0, 1), torch.randn(points.shape, generator=seeded(3))
    pairs = zip(points.flatten(1).tolist(), gradients.flatten(1).tolist(), strict=True)
    expected = torch.tensor([slow.sparse_direction(point, gradient, share) for point, gradient in pairs])
    assert_close(sparse_direction(points, gradients, share).flatten(1), expected)
