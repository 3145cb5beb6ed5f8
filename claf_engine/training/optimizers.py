"""Learning rates as pure functions of the step, and the optimisers they drive; torch has no LARS, so it is here."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from claf_engine.config import OptimizerConfig

ROUNDING = 1e-6
"""So that a milestone such as 100/110 of 110 steps is step 100, whatever the product rounds to."""


def learning_rate(config: OptimizerConfig, step: int, total_steps: int, steps_per_epoch: int) -> float:
    """The learning rate of one optimiser step.

    Linear warm-up from zero, then one of: constant; half a cosine, or a straight line, from the base rate to
    `final_fraction` of it; steps, where it is multiplied by `decay` at each milestone. It moves with every step, not
    every epoch; the released code moves its cosine once an epoch, one epoch late.

    Args:
        config: base rate, schedule, warm-up.
        step: steps this optimiser has taken before, from 0.
        total_steps: steps it takes in all, warm-up included; milestones are fractions of it.
        steps_per_epoch: turns warm-up epochs into steps.
    """
    warmup = config.warmup_epochs * steps_per_epoch
    if step < warmup:
        return config.learning_rate * (step + 1) / (math.floor(warmup) + 1)
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "steps":
        num_drops = sum(step + ROUNDING >= milestone * total_steps for milestone in config.milestones)
        return config.learning_rate * config.decay**num_drops
    progress = min(1.0, (step - warmup) / max(1.0, total_steps - warmup))
    remaining = 0.5 * (1 + math.cos(math.pi * progress)) if config.schedule == "cosine" else 1 - progress
    return config.learning_rate * (config.final_fraction + (1 - config.final_fraction) * remaining)


def build_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Build an optimiser; `set_learning_rate` is called before every step."""
    trained, rate, decay = list(parameters), config.learning_rate, config.weight_decay
    # On an accelerator one kernel steps all tensors; on a CPU nothing is gained, and the plain loop is kept.
    is_fused = trained[0].device.type != "cpu"
    if config.name == "adam":
        return torch.optim.Adam(trained, lr=rate, betas=config.betas, weight_decay=decay, fused=is_fused)
    if config.name == "lars":
        return Lars(trained, lr=rate, momentum=config.momentum, weight_decay=decay)
    return torch.optim.SGD(trained, lr=rate, momentum=config.momentum, weight_decay=decay, fused=is_fused)


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = value


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
