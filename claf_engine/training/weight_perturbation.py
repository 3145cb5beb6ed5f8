"""Adversarial weight perturbation: every step minimises the loss at the worst weights nearby (Wu, Xia and Wang 2020).

For each matrix or kernel w that is trained, with the gradient g of the loss by it,

    v = gamma |w| g / |g|,

one step of ascent whose length is a share of the weight's own. The gradient that is descended is taken at w + v, on the
same attacked images, and the step itself from w. Biases and BatchNorm's weights stay.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction

import torch
from torch import Tensor

from claf_engine.config import WeightPerturbationConfig

LossOf = Callable[[], Tensor]
"""A loss (0-d), computed anew with its graph, and with the weights as they are, whenever it is called."""
TINY = 1e-12
"""Keeps a gradient of zero from being divided by zero."""


def gamma_at(config: WeightPerturbationConfig, progress: Fraction) -> float:
    """How far weights are moved, as a share of their lengths, when so much of the phase is done; 0 for not at all."""
    return config.gamma if progress >= Fraction(str(config.after)) else 0.0


def perturbations(weights: Sequence[Tensor], gamma: float) -> list[Tensor]:
    """Where the loss grows fastest from the weights, from the gradients that they hold.

    Args:
        weights: each of any shape, with its gradient.
        gamma: length of each perturbation, as a share of its weight's.
    """
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    return [
        gradient * (gamma * weight.detach().norm() / (gradient.norm() + TINY))
        for weight, gradient in zip(weights, gradients, strict=True)
    ]


@contextmanager
def moved(weights: Sequence[Tensor], by: Sequence[Tensor]) -> Iterator[None]:
    """Weights are elsewhere, in place; afterwards they are what they were, to the bit."""
    kept = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, perturbation in zip(weights, by, strict=True):
            weight.add_(perturbation)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, before in zip(weights, kept, strict=True):
                weight.copy_(before)
