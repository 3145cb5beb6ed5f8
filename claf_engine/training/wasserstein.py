"""WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028): a critic estimates how far generated images are from natural ones.

With a critic D, natural images x, generated ones y and points between, u = x + t (y - x) with t uniform in [0, 1] for
each image, the critic minimises

    mean D(y) - mean D(x) + w mean (|grad D(u)| - 1)^2,

where |.| is the Euclidean length over all values of an image, and the generator minimises - mean D(y).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class CriticLoss:
    """The two terms of a critic's loss, 0-d with their graphs.

    Attributes:
        distance: mean D(x) - mean D(y), which estimates the Wasserstein distance; the critic maximises it.
        penalty: mean (|grad D(u)| - 1)^2.
    """

    distance: Tensor
    penalty: Tensor

    def total(self, weight: float) -> Tensor:
        """What the critic minimises, with this weight of the penalty."""
        return weight * self.penalty - self.distance


def critic_loss(critic: nn.Module, natural: Tensor, generated: Tensor, shares: Tensor) -> CriticLoss:
    """The loss of a critic.

    Args:
        critic: images (B, C, H, W) to scores (B,).
        natural: (B, C, H, W) in [0, 1].
        generated: (B, C, H, W); no gradient flows into what made them.
        shares: (B,) in [0, 1], where between the two of each pair the gradient is looked at: 0 at the natural image.
    """
    generated = generated.detach()
    points = torch.lerp(natural, generated, shares.view(-1, 1, 1, 1)).requires_grad_(True)
    (gradients,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    lengths = torch.linalg.vector_norm(gradients, dim=(1, 2, 3))
    distance = critic(natural).mean() - critic(generated).mean()
    return CriticLoss(distance, (lengths - 1).square().mean())


def generator_loss(critic: nn.Module, generated: Tensor) -> Tensor:
    """The loss (0-d) of what made the images (B, C, H, W): minus the mean of their scores."""
    loss: Tensor = -critic(generated).mean()
    return loss
