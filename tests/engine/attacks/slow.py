"""The attacks once more, from their papers' equations: one image and one pixel at a time, in Python's own numbers."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

Pixels = list[float]
Climb = Callable[[Pixels], Pixels]


def climb_cross_entropy(model: nn.Module, label: Tensor, shape: torch.Size) -> Climb:
    """Gradient of the cross-entropy of one image by each of its pixels."""

    def climb(pixels: Pixels) -> Pixels:
        point = torch.tensor(pixels).view(shape).requires_grad_(True)
        (gradient,) = torch.autograd.grad(cross_entropy(model(point[None]), label[None]), point)
        return [float(value) for value in gradient.flatten()]

    return climb


def sign(value: float) -> float:
    return (value > 0) - (value < 0)


def clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def length(values: Pixels) -> float:
    return math.sqrt(sum(value * value for value in values))


def fgsm(climb: Climb, image: Pixels, epsilon: float) -> Pixels:
    """Goodfellow et al. (2015), section 4."""
    return [clip(x + epsilon * sign(g), 0, 1) for x, g in zip(image, climb(image), strict=True)]


def pgd_linf(climb: Climb, image: Pixels, begin: Pixels, epsilon: float, step_size: float, steps: int) -> Pixels:
    """Madry et al. (2018), section 2.1."""
    point = begin
    for _ in range(steps):
        moved = [p + step_size * sign(g) for p, g in zip(point, climb(point), strict=True)]
        in_ball = [clip(p, x - epsilon, x + epsilon) for p, x in zip(moved, image, strict=True)]
        point = [clip(p, 0, 1) for p in in_ball]
    return point


def pgd_l2(climb: Climb, image: Pixels, begin: Pixels, epsilon: float, step_size: float, steps: int) -> Pixels:
    """The same in L2: the step has a length, and the ball is projected onto along its radius."""
    point = begin
    for _ in range(steps):
        gradient = climb(point)
        moved = [p + step_size * g / length(gradient) for p, g in zip(point, gradient, strict=True)]
        delta = [p - x for p, x in zip(moved, image, strict=True)]
        shrink = min(1.0, epsilon / length(delta))
        point = [clip(x + d * shrink, 0, 1) for x, d in zip(image, delta, strict=True)]
    return point


def nearest_in_l1(point: Pixels, origin: Pixels, epsilon: float) -> Pixels:
    """The nearest point of an L1 ball and of [0, 1] at once, by bisection of the multiplier of its length."""

    def shrunk(threshold: float) -> Pixels:
        """Each value by itself minimises (z - p)^2 / 2 + threshold * |z - x| over [0, 1]."""
        values = []
        for p, x in zip(point, origin, strict=True):
            pulled = max(p - threshold, x) if p > x else min(p + threshold, x)
            values.append(clip(pulled, 0, 1))
        return values

    low, high = 0.0, max(abs(p - x) for p, x in zip(point, origin, strict=True))
    if sum(abs(z - x) for z, x in zip(shrunk(0.0), origin, strict=True)) <= epsilon:
        return shrunk(0.0)
    for _ in range(100):
        middle = (low + high) / 2
        is_long = sum(abs(z - x) for z, x in zip(shrunk(middle), origin, strict=True)) > epsilon
        low, high = (middle, high) if is_long else (low, middle)
    return shrunk(high)


def sparse_direction(point: Pixels, gradient: Pixels, share: float) -> Pixels:
    """Tramer and Boneh (2019), section 4: signs of the largest gradients that can move, of L1 length 1."""
    free = [0.0 if (x <= 0 and g < 0) or (x >= 1 and g > 0) else g for x, g in zip(point, gradient, strict=True)]
    chosen = sorted(range(len(free)), key=lambda i: -abs(free[i]))[: math.ceil(share * len(free))]
    count = sum(free[i] != 0 for i in chosen)
    return [sign(free[i]) / count if i in chosen else 0.0 for i in range(len(free))]


def pgd_l1(climb: Climb, image: Pixels, begin: Pixels, epsilon: float, step_size: float, steps: int) -> Pixels:
    """SLIDE's step, and the exact projection of Croce and Hein (2021)."""
    point = begin
    for _ in range(steps):
        direction = sparse_direction(point, climb(point), 0.01)
        moved = [p + step_size * d for p, d in zip(point, direction, strict=True)]
        point = nearest_in_l1(moved, image, epsilon)
    return point


def mi_fgsm(climb: Climb, image: Pixels, epsilon: float, steps: int) -> Pixels:
    """Dong et al. (2018), algorithm 1, with mu = 1 and alpha = epsilon / T."""
    point, velocity = image, [0.0] * len(image)
    for _ in range(steps):
        gradient = climb(point)
        size = sum(abs(g) for g in gradient)
        velocity = [1.0 * v + g / size for v, g in zip(velocity, gradient, strict=True)]
        moved = [p + epsilon / steps * sign(v) for p, v in zip(point, velocity, strict=True)]
        point = [clip(clip(p, x - epsilon, x + epsilon), 0, 1) for p, x in zip(moved, image, strict=True)]
    return point


def released_code(climb: Climb, image: Pixels, noise: Pixels, epsilon: float, step_size: float, steps: int) -> Pixels:
    """What the authors' released code did to a normalised image, whose values it took for pixels in [0, 1].

    `climb` is the gradient of a network of normalised values, and the result is normalised too.
    """
    point = [clip(n + u, 0, 1) for n, u in zip(image, noise, strict=True)]
    for _ in range(steps):
        moved = [p + step_size * sign(g) for p, g in zip(point, climb(point), strict=True)]
        delta = [clip(p - n, -epsilon, epsilon) for p, n in zip(moved, image, strict=True)]
        point = [clip(n + d, 0, 1) for n, d in zip(image, delta, strict=True)]
    return point


def each_image(
    model: nn.Module, images: Tensor, labels: Tensor, attack: Callable[[Climb, Pixels, int], Pixels]
) -> Tensor:
    """Attack image after image; `attack` also gets the image's number."""
    attacked = [
        attack(climb_cross_entropy(model, label, image.shape), image.flatten().tolist(), number)
        for number, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    return torch.tensor(attacked).view_as(images)
