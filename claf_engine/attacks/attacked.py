"""What is measured: a model, and where the gradients of attacks on it come from."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from claf_engine.compute.device import Compute
from claf_engine.models.folding import fold
from claf_engine.models.modes import evaluating


@dataclass(frozen=True)
class Attacked:
    """A model under attack.

    Attributes:
        model: images (N, C, H, W) in [0, 1] to logits (N, K); whether an attack succeeded, it says.
        gradient_source: of the same form; attacks climb its gradients.
    """

    model: nn.Module
    gradient_source: nn.Module

    @classmethod
    def by_its_own_gradients(cls, model: nn.Module) -> "Attacked":
        """A model whose gradients are its own, taken from a folded copy."""
        return cls(model, fold(model))


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, compute: Compute) -> Tensor:
    """Predicted classes (N,) of images (N, C, H, W) in [0, 1], in eval mode."""
    with evaluating(model), compute.autocast():
        classes: Tensor = model(compute.arrange(images)).argmax(1)
    return classes
