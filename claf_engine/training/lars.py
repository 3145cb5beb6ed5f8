"""Layer-wise adaptive rate scaling (You et al. 2017), which RoCL trains with: torch has no such optimiser."""

from typing import Any

import torch
from torch import Tensor

TRUST = 1e-3
"""Trust coefficient eta, as RoCL sets it."""
TINY = 1e-8
"""Keeps a gradient of zero from being divided by zero; RoCL's value too."""


class Lars(torch.optim.SGD):
    """SGD with momentum on gradients that are scaled for each tensor.

    For a weight w with gradient g, both with a length above zero:

        g' = eta |w| / (|g| + wd |w| + 1e-8) * (g + wd w)

    and elsewhere g' = g + wd w. Momentum and the learning rate then work on g' as in SGD.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Scale the gradients, step as SGD does, and give the gradients back as they were; takes no closure."""
        assert closure is None, "no loop here needs one"
        decays = [group["weight_decay"] for group in self.param_groups]
        weights = [weight for group in self.param_groups for weight in group["params"] if weight.grad is not None]
        gradients = [weight.grad for weight in weights]
        for group, decay in zip(self.param_groups, decays, strict=True):
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.grad = scaled(weight, weight.grad, decay)
            group["weight_decay"] = 0.0
        try:
            return super().step()
        finally:
            for group, decay in zip(self.param_groups, decays, strict=True):
                group["weight_decay"] = decay
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient


def scaled(weight: Tensor, gradient: Tensor, decay: float) -> Tensor:
    """The gradient g' of one tensor.

    Args:
        weight: w, of any shape.
        gradient: g, of the same shape.
        decay: wd, not negative.
    """
    size, slope = weight.norm(), gradient.norm()
    ratio = TRUST * size / (slope + decay * size + TINY)
    ratio = torch.where((size > 0) & (slope > 0), ratio, torch.ones_like(ratio))
    return ratio * (gradient + decay * weight)
