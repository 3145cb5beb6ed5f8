"""What an attack climbs: gradients by the images of a loss of a frozen model."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from claf_engine.compute.device import Compute
from claf_engine.models.modes import frozen

Gradient = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) in [0, 1] to the gradient of the summed loss by them, of the same shape."""
Mode = Callable[[nn.Module], AbstractContextManager[None]]


def gradient_of(model: nn.Module, loss: Callable[[Tensor], Tensor], compute: Compute, mode: Mode = frozen) -> Gradient:
    """The gradient of a loss of the model's output.

    Args:
        model: images to outputs; its flags are put back after every call.
        loss: fp32 outputs to losses, which are summed.
        compute: precision of the forward and backward passes; the gradient is fp32.
        mode: how the model is frozen meanwhile; by default in eval mode.
    """

    def gradient(images: Tensor) -> Tensor:
        images = images.detach().requires_grad_(True)
        with mode(model), torch.enable_grad():
            with compute.autocast():
                outputs = model(compute.arrange(images)).float()
            return torch.autograd.grad(loss(outputs).sum(), images)[0]

    return gradient


def log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-odds (N,) against the true class: s = logsumexp_{j != y} z_j - z_y.

    Cross-entropy is log(1 + e^s), so its gradient is sigmoid(s) times this one: the same direction, but that factor,
    and with it the term of z_y, vanishes in floating point where a network is sure of itself. An attack on plain
    cross-entropy then finds nothing, and the network looks robust.
    """
    own = labels[:, None]
    return logits.scatter(1, own, -torch.inf).logsumexp(1) - logits.gather(1, own)[:, 0]


def log_odds_gradient(model: nn.Module, labels: Tensor, compute: Compute, mode: Mode = frozen) -> Gradient:
    """The direction in which the cross-entropy of each image grows fastest; labels (N,) are the true classes."""
    return gradient_of(model, lambda logits: log_odds(logits, labels), compute, mode)
