"""Attacks in pixel space, as one visible loop: start, gradient, step, project, clip.

`attack_steps` is a generator, so that a run may be paused between two steps; `attack` exhausts it. The model is any
module from images in [0, 1] to logits; freezing it (eval mode, no parameter gradients) is done here.
"""

from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn

from claf_engine.config import AttackConfig
from claf_engine.device import Compute, channels_last
from claf_engine.errors import DataError
from claf_engine.modes import frozen
from claf_engine.pixels import format_distance
from claf_engine.ticks import Pulse, exhaust


@dataclass(frozen=True)
class LinfAttack:
    """PGD in the Linf ball (Madry et al. 2018); epsilon and step size are pixel distances."""

    epsilon: Fraction
    step_size: Fraction
    steps: int
    random_start: bool = True

    @property
    def name(self) -> str:
        """For a person: "PGD-10 at 8/255"."""
        return f"PGD-{self.steps} at {format_distance(self.epsilon)}"


def from_config(config: AttackConfig, *, steps: int | None = None) -> LinfAttack:
    """The attack that a config section describes, optionally with another number of steps."""
    return LinfAttack(config.epsilon, config.step_size, config.steps if steps is None else steps, config.random_start)


def require_pixels(images: Tensor) -> None:
    """Refuse what is not an image in [0, 1]: a normalised tensor here means a wrong epsilon, not a detail.

    Raises:
        DataError: a value lies outside [0, 1] or is not finite.
    """
    low, high = torch.aminmax(images)
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"images must lie in [0, 1], these lie in [{low:.3g}, {high:.3g}]; normalise inside the network"
        )


def linf_start(images: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """A point drawn uniformly from the ball, clipped to the image range."""
    noise = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return (images + (noise * 2 - 1) * epsilon).clamp(0, 1)


def linf_step(adversarial: Tensor, gradient: Tensor, step_size: float) -> Tensor:
    """Steepest ascent under Linf: every pixel moves by the step size."""
    return adversarial + step_size * gradient.sign()


def linf_project(adversarial: Tensor, images: Tensor, epsilon: float) -> Tensor:
    """Back into the ball first, then into the image range."""
    return torch.minimum(torch.maximum(adversarial, images - epsilon), images + epsilon).clamp(0, 1)


def loss_gradient(model: nn.Module, images: Tensor, labels: Tensor, compute: Compute) -> Tensor:
    """Direction in which the cross-entropy of each image grows fastest, (N, C, H, W).

    It is the gradient of the log-odds s = logsumexp_{j != y} z_j - z_y. Cross-entropy is log(1 + e^s), so its gradient
    is sigmoid(s) times this one: the same direction, but that factor, and with it the term of z_y, vanishes in floating
    point where a network is sure of itself. An attack on plain cross-entropy then finds nothing, and the network looks
    robust.
    """
    images = images.detach().requires_grad_(True)
    with torch.enable_grad(), compute.autocast():
        logits = model(channels_last(images)).float()
    with torch.enable_grad():
        own = labels[:, None]
        log_odds = logits.scatter(1, own, -torch.inf).logsumexp(1) - logits.gather(1, own)[:, 0]
        return torch.autograd.grad(log_odds.sum(), images)[0]


def attack_steps(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    spec: LinfAttack,
    generator: torch.Generator,
    compute: Compute,
) -> Generator[Pulse, None, Tensor]:
    """Craft adversarial examples by PGD, with a pulse before every step.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, K).
        images: (N, C, H, W) in [0, 1]; not modified.
        labels: (N,) true classes.
        spec: radius, step size, steps, random start. Zero steps and no random start return the images unchanged.
        generator: of the random start, on the images' device; always consumed the same amount for a given shape.
        compute: precision of the forward and backward passes; the images themselves stay fp32.

    Returns:
        (N, C, H, W) in [0, 1], within epsilon of the images in Linf.
    """
    epsilon, step_size = float(spec.epsilon), float(spec.step_size)
    adversarial = linf_start(images, epsilon, generator) if spec.random_start else images.clone()
    for step in range(spec.steps):
        yield Pulse(spec.name, step, spec.steps)
        with frozen(model):
            gradient = loss_gradient(model, adversarial, labels, compute)
        adversarial = linf_project(linf_step(adversarial, gradient, step_size), images, epsilon)
    return adversarial.detach()


def attack(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    spec: LinfAttack,
    generator: torch.Generator,
    compute: Compute,
) -> Tensor:
    """`attack_steps` without the pauses.

    Raises:
        DataError: the images do not lie in [0, 1].
    """
    require_pixels(images)
    return exhaust(attack_steps(model, images, labels, spec, generator, compute))
