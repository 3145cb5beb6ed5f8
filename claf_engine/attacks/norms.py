"""Noise, step, projection and distance in Linf, L2 and L1; coordinates (N, C, H, W) that an attack keeps in [0, 1]."""

import torch
from torch import Tensor

from claf_engine.attacks.sparse import l1_noise, project_l1, sparse_direction
from claf_engine.terms.names import Norm

GAUSSIAN_DEVIATION = 0.001
"""Of the start that TRADES attacks from."""
TINY = 1e-12
"""Keeps a gradient of zero from being divided by zero."""
ORDERS: dict[Norm, float] = {"linf": torch.inf, "l2": 2, "l1": 1}
ROUNDING = 1e-6
"""How far beyond epsilon, or outside [0, 1], rounding may carry an attacked image."""
ROUNDING_OF_ONE = 2.0**-23
"""Of one value in [0, 1], and where it is added to the others."""


def uniform_noise(like: Tensor, epsilon: float, norm: Norm, generator: torch.Generator) -> Tensor:
    """A random displacement within the ball, of the shape of `like`.

    In Linf and L1 it is uniform in the ball; in L2 the direction is uniform and so is the radius, which favours the
    middle.
    """
    if norm == "l1":
        return l1_noise(like, epsilon, generator)
    if norm == "linf":
        return (torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype) * 2 - 1) * epsilon
    direction = torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    radius = torch.rand(len(like), 1, 1, 1, generator=generator, device=like.device, dtype=like.dtype)
    return epsilon * radius * direction / lengths(direction)


def bernoulli_noise(like: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """Plus or minus half a radius in every coordinate, of the shape of `like`: the start that NuAT attacks from."""
    signs = torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype).sub(0.5).sign()
    return epsilon / 2 * signs


def gaussian_noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """A very small random displacement: without one, the gradient of a KL divergence is zero."""
    noise = torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    return GAUSSIAN_DEVIATION * noise


def step(point: Tensor, gradient: Tensor, step_size: float, norm: Norm) -> Tensor:
    """Steepest ascent: in Linf every coordinate moves by the step size, in L2 and L1 every image by that length.

    In L1 it goes into the steepest coordinates alone (see `sparse_direction`).

    A gradient of NaN makes the point NaN. Its sign would be 0, and an attack that stands still looks like robustness.
    """
    if norm == "linf":
        return point + step_size * gradient.sign().where(~gradient.isnan(), gradient)
    if norm == "l1":
        return point + step_size * sparse_direction(point, gradient)
    gradient = gradient / magnitudes(gradient)
    return point + step_size * (gradient / lengths(gradient))


def project(point: Tensor, origin: Tensor, epsilon: float, norm: Norm) -> Tensor:
    """Back into the ball first, then into [0, 1]; in L1 to the nearest point of both (see `project_l1`)."""
    if norm == "l1":
        return project_l1(point, origin, epsilon)
    if norm == "linf":
        return torch.minimum(torch.maximum(point, origin - epsilon), origin + epsilon).clamp(0, 1)
    moved = point - origin
    return (origin + moved * (epsilon / lengths(moved)).clamp(max=1)).clamp(0, 1)


def distances(ones: Tensor, others: Tensor, norm: Norm) -> Tensor:
    """Distance (N,) between each pair of images (N, C, H, W)."""
    found: Tensor = torch.linalg.vector_norm(ones - others, ORDERS[norm], dim=(1, 2, 3))
    return found


def rounding(norm: Norm, num_values: int) -> float:
    """How far beyond epsilon rounding may carry an image of so many values; the L1 norm adds up that of all."""
    return max(ROUNDING, num_values * ROUNDING_OF_ONE) if norm == "l1" else ROUNDING


def magnitudes(gradients: Tensor) -> Tensor:
    """What gradients (..., C, H, W) are divided by before their length is taken, so that none is lost in it.

    Squares of very small or very large values round to 0 or infinity, and a gradient over such a length is none. It is
    the largest value there and 1 elsewhere, which leaves a gradient bit for bit: (..., 1, 1, 1).
    """
    found = torch.linalg.vector_norm(gradients, dim=(-3, -2, -1), keepdim=True)
    largest = gradients.abs().amax((-3, -2, -1), keepdim=True)
    is_lost = ((found < TINY) & (largest > 0)) | (found.isinf() & largest.isfinite())
    return torch.where(is_lost, largest, 1.0)


def lengths(values: Tensor) -> Tensor:
    """Euclidean length of each image (N, C, H, W), as (N, 1, 1, 1), never zero."""
    found: Tensor = torch.linalg.vector_norm(values, dim=(1, 2, 3), keepdim=True)
    return found.clamp(min=TINY)
