"""The L1 ball: uniform noise, the sparse step, and the exact projection onto ball and box together.

Coordinates (N, C, H, W) lie in [0, 1]. Cutting a point off at the box after it was brought back into the ball gives a
point of both, but not the nearest one: it stays short of the radius, and the attack is weaker (Croce and Hein 2021).
"""

import math

import torch
from torch import Tensor

SPARSE_SHARE = 0.01
"""The share of all coordinates that a step moves: 1 - q of SLIDE, with q = 0.99 (Tramer and Boneh 2019)."""


def l1_noise(like: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """A displacement of the shape of `like`, uniform in the L1 ball.

    Magnitudes are exponential over their sum and one more of their kind, with random signs (Barthe et al. 2005).
    """
    draws = [_draws(like.shape, like, generator) for _ in range(2)]
    signs, magnitudes = draws[0].sub(0.5).sign(), -draws[1].neg().log1p()
    rest = -_draws((len(like), 1, 1, 1), like, generator).neg().log1p()
    return epsilon * signs * magnitudes / (magnitudes.sum((1, 2, 3), keepdim=True) + rest)


def _draws(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=like.device, dtype=like.dtype)


def sparse_direction(point: Tensor, gradient: Tensor, share: float = SPARSE_SHARE) -> Tensor:
    """Where a step in L1 goes: the signs of the steepest coordinates that can still move, of L1 length 1 in all.

    A coordinate at 0 that should fall or at 1 that should rise is passed over for the next steepest one. An image whose
    gradient is zero does not move; one with a gradient of NaN becomes NaN.

    Args:
        point: (N, C, H, W) in [0, 1].
        gradient: of the same shape.
        share: of the coordinates of an image, rounded up, that move.
    """
    is_blocked = ((point <= 0) & (gradient < 0)) | ((point >= 1) & (gradient > 0))
    free = gradient.masked_fill(is_blocked, 0).flatten(1)
    chosen = free.abs().topk(math.ceil(share * free.shape[1]), dim=1).indices
    signs = torch.zeros_like(free).scatter(1, chosen, free.gather(1, chosen).sign())
    direction = (signs / signs.abs().sum(1, keepdim=True).clamp(min=1)).view_as(gradient)
    return direction.where(~gradient.isnan(), gradient)


def project_l1(point: Tensor, origin: Tensor, epsilon: float) -> Tensor:
    """The nearest point of the L1 ball around `origin` and of [0, 1] at once.

    With the displacement u and the room b up to the border of the box in its direction, the answer is

        sign(u) min(max(|u| - t, 0), b)

    for the smallest t >= 0 whose L1 length is at most epsilon. That length is piecewise linear in t, with its corners
    at |u| and |u| - b, so that t is found exactly from a sorted list (Croce and Hein 2021).

    Args:
        point: (N, C, H, W), anywhere.
        origin: (N, C, H, W) in [0, 1].
        epsilon: radius.
    """
    boxed = point.clamp(0, 1)
    moved = (point - origin).flatten(1).double()
    centre = origin.flatten(1).double()
    sizes = moved.abs()
    room = torch.where(moved > 0, 1 - centre, centre)
    cut = (sizes - _threshold(sizes, room, epsilon)).clamp(min=0).minimum(room)
    found = (centre + moved.sign() * cut).to(point.dtype).view_as(point)
    is_outside = sizes.minimum(room).sum(1) > epsilon
    return torch.where(is_outside[:, None, None, None], found.clamp(0, 1), boxed)


def _threshold(sizes: Tensor, room: Tensor, epsilon: float) -> Tensor:
    """The t (N, 1) at which min(max(sizes - t, 0), room) adds up to epsilon, of (N, D) each; 0 where it never does.

    That sum is the one of max(sizes - t, 0) minus the one of max(sizes - room - t, 0).
    """
    corners = torch.cat([sizes, sizes - room], dim=1)
    corners, order = corners.sort(dim=1, descending=True)
    slopes = torch.where(order < sizes.shape[1], 1.0, -1.0).to(sizes.dtype)
    # Of the stretch that ends at each corner, coming from above: how steep it is, and its sum at t = 0.
    steepness, offset = slopes.cumsum(1) - slopes, (slopes * corners).cumsum(1) - slopes * corners
    reaches = offset - steepness * corners >= epsilon
    first = reaches.byte().argmax(1, keepdim=True)
    found = (offset.gather(1, first) - epsilon) / steepness.gather(1, first).clamp(min=1)
    # A radius of 0 is reached at the highest corner, before any stretch.
    found = torch.where(first == 0, corners[:, :1], found)
    return torch.where(reaches.any(1, keepdim=True), found, 0.0).clamp(min=0)
