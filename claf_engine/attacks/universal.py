"""Universal perturbations: one displacement within epsilon that is added to every image.

Two ways to find one on a set of images: by DeepFool, image after image (Moosavi-Dezfooli et al. 2017), and
by stochastic ascent of the mean loss, batch after batch (Shafahi et al. 2020), which is cheaper and
usually stronger. Both are generators of pulses, so that they can be paused.
"""

from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from claf_engine.attacks import norms
from claf_engine.attacks.attacked import predict
from claf_engine.attacks.deepfool import DeepFool, deepfool_steps
from claf_engine.attacks.gradients import gradient_of, log_odds
from claf_engine.compute.device import Compute
from claf_engine.events.ticks import Pulse
from claf_engine.terms.names import Norm

Algorithm = Literal["ascent", "deepfool"]
CEILING = 9.0
"""beta of the paper: a loss beyond it counts no more, or a few images that are lost anyway would decide."""
STEP_SHARE = Fraction(1, 10)
"""Length of a step of ascent, in radii."""
DEEPFOOL_STEPS = 10
FOOLED = 0.98
"""The share of images whose class is changed at which the algorithm by DeepFool ends before its last pass."""


@dataclass(frozen=True)
class Universal:
    """How a universal perturbation is searched.

    Attributes:
        epsilon: radius.
        norm: of the ball.
        algorithm: ascent of the mean loss, or DeepFool image after image.
        passes: over the images.
        step_size: of ascent; None is a tenth of the radius.
        batch_size: of ascent.
    """

    epsilon: Fraction
    norm: Norm = "linf"
    algorithm: Algorithm = "ascent"
    passes: int = 10
    step_size: Fraction | None = None
    batch_size: int = 100

    @property
    def step(self) -> Fraction:
        """Length of a step of ascent."""
        return STEP_SHARE * self.epsilon if self.step_size is None else self.step_size


def into_ball(perturbation: Tensor, epsilon: float, norm: Norm) -> Tensor:
    """The nearest displacement (1, C, H, W) within epsilon of none."""
    if norm == "linf":
        return perturbation.clamp(-epsilon, epsilon)
    return perturbation * (epsilon / norms.lengths(perturbation)).clamp(max=1)


def perturbed(images: Tensor, perturbation: Tensor) -> Tensor:
    """Images (N, C, H, W) in [0, 1] moved by one displacement (1, C, H, W), cut with [0, 1]."""
    return (images + perturbation).clamp(0, 1)


def capped_log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-odds (N,) against the true class where they lie below `CEILING`, which has no gradient."""
    return log_odds(logits, labels).clamp(max=CEILING)


def total_gradient(gradients: Tensor, images: Tensor, perturbation: Tensor) -> Tensor:
    """The gradient (1, C, H, W) by the perturbation of a loss summed over images (N, C, H, W) in [0, 1].

    A value that [0, 1] cuts off follows the perturbation no more.

    Args:
        gradients: (N, C, H, W), of each image's loss where the perturbation moves it.
        images: as they were.
        perturbation: (1, C, H, W).
    """
    moved = images + perturbation
    return (gradients * ((moved >= 0) & (moved <= 1))).sum(0, keepdim=True)


def ascend(perturbation: Tensor, gradient: Tensor, spec: Universal, step: float) -> Tensor:
    """One step of ascent (1, C, H, W) and back into the ball."""
    return into_ball(norms.step(perturbation, gradient, step, spec.norm), float(spec.epsilon), spec.norm)


def universal_steps(
    model: nn.Module,
    examples: tuple[Tensor, Tensor],
    spec: Universal,
    generator: torch.Generator,
    compute: Compute,
) -> Generator[Pulse, None, Tensor]:
    """Search one perturbation for all images.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, K); frozen here, in eval mode.
        examples: images (N, C, H, W) in [0, 1] and their labels (N,); DeepFool leaves the predicted class and asks for
            none.
        spec: the search.
        generator: of the start (of ascent) and of the order of the images, on their device.
        compute: precision of the passes.

    Returns:
        (1, C, H, W), within epsilon.
    """
    if spec.algorithm == "deepfool":
        return _deepfool_passes(model, examples[0], spec, generator, compute)
    return _ascent_passes(model, examples, spec, generator, compute)


def _ascent_passes(
    model: nn.Module,
    examples: tuple[Tensor, Tensor],
    spec: Universal,
    generator: torch.Generator,
    compute: Compute,
) -> Generator[Pulse, None, Tensor]:
    images, labels = examples
    found = norms.uniform_noise(images[:1], float(spec.epsilon), spec.norm, generator)
    num_batches = -(-len(images) // spec.batch_size)
    for number in range(spec.passes):
        order = torch.randperm(len(images), generator=generator, device=images.device)
        for batch, rows in enumerate(torch.split(order, spec.batch_size)):
            yield Pulse(
                f"universal perturbation, pass {number + 1} of {spec.passes}", batch, num_batches, abandonable=True
            )
            gradient = gradient_of(model, partial(capped_log_odds, labels=labels[rows]), compute)
            gradients = gradient(perturbed(images[rows], found))
            found = ascend(found, total_gradient(gradients, images[rows], found), spec, float(spec.step))
    return found


def _deepfool_passes(
    model: nn.Module, images: Tensor, spec: Universal, generator: torch.Generator, compute: Compute
) -> Generator[Pulse, None, Tensor]:
    found, search = torch.zeros_like(images[:1]), DeepFool(DEEPFOOL_STEPS, norm=spec.norm)
    natural = _classes(model, images, spec.batch_size, compute)
    for number in range(spec.passes):
        order = torch.randperm(len(images), generator=generator, device=images.device)
        for done, row in enumerate(order.tolist()):
            yield Pulse(
                f"universal perturbation by DeepFool, pass {number + 1} of {spec.passes}",
                done,
                len(images),
                abandonable=True,
            )
            point = perturbed(images[row : row + 1], found)
            if bool(predict(model, point, compute) != natural[row]):
                continue
            crossed = yield from deepfool_steps(model, point, search, compute)
            found = into_ball(found + crossed - point, float(spec.epsilon), spec.norm)
        if (
            float((_classes(model, perturbed(images, found), spec.batch_size, compute) != natural).float().mean())
            > FOOLED
        ):
            break
    return found


def _classes(model: nn.Module, images: Tensor, batch_size: int, compute: Compute) -> Tensor:
    """Predicted classes (N,), batch by batch."""
    return torch.cat([predict(model, batch, compute) for batch in torch.split(images, batch_size)])
