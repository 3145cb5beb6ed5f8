"""Start, step and projection in the Linf and the L2 ball; coordinates (N, C, H, W) that an attack keeps in [0, 1]."""

import torch
from torch import Tensor

from claf_engine.names import Norm

GAUSSIAN_START = 0.001
"""Deviation of the start that TRADES attacks from."""
TINY = 1e-12
"""Keeps a gradient of zero from being divided by zero."""


def uniform_start(origin: Tensor, epsilon: float, norm: Norm, generator: torch.Generator) -> Tensor:
    """A random point of the ball, clamped to [0, 1].

    In Linf it is uniform in the ball; in L2 the direction is uniform and so is the radius, which favours the middle.
    """
    if norm == "linf":
        noise = torch.rand(origin.shape, generator=generator, device=origin.device, dtype=origin.dtype)
        return (origin + (noise * 2 - 1) * epsilon).clamp(0, 1)
    direction = torch.randn(origin.shape, generator=generator, device=origin.device, dtype=origin.dtype)
    radius = torch.rand(len(origin), 1, 1, 1, generator=generator, device=origin.device, dtype=origin.dtype)
    return (origin + epsilon * radius * direction / lengths(direction)).clamp(0, 1)


def gaussian_start(origin: Tensor, generator: torch.Generator) -> Tensor:
    """A point very near the origin, clamped to [0, 1]: exactly there the gradient of a KL divergence is zero."""
    noise = torch.randn(origin.shape, generator=generator, device=origin.device, dtype=origin.dtype)
    return (origin + GAUSSIAN_START * noise).clamp(0, 1)


def step(point: Tensor, gradient: Tensor, step_size: float, norm: Norm) -> Tensor:
    """Steepest ascent: in Linf every coordinate moves by the step size, in L2 every image by that length."""
    direction = gradient.sign() if norm == "linf" else gradient / lengths(gradient)
    return point + step_size * direction


def project(point: Tensor, origin: Tensor, epsilon: float, norm: Norm) -> Tensor:
    """Back into the ball first, then into [0, 1]."""
    if norm == "linf":
        return torch.minimum(torch.maximum(point, origin - epsilon), origin + epsilon).clamp(0, 1)
    moved = point - origin
    return (origin + moved * (epsilon / lengths(moved)).clamp(max=1)).clamp(0, 1)


def lengths(values: Tensor) -> Tensor:
    """Euclidean length of each image (N, C, H, W), as (N, 1, 1, 1), never zero."""
    found: Tensor = torch.linalg.vector_norm(values, dim=(1, 2, 3), keepdim=True)
    return found.clamp(min=TINY)
