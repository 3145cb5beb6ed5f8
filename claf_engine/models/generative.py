"""A generator of images and the critic that it is trained against, sized from the images and two settings."""

import math

import torch
from torch import Tensor, nn

SMALLEST = 4
"""Side in pixels that a generator begins at, at the least."""


def num_doublings(size: tuple[int, int]) -> int:
    """How often a generator doubles its side to come to images of this height and width."""
    return max(1, math.floor(math.log2(min(size) / SMALLEST)))


class Generator(nn.Module):
    """Latent vectors to images: a linear layer, then doublings of the side, each with a 3x3 convolution.

    Args:
        latent: entries of a latent vector.
        width: channels at the full size; every halving has twice as many.
        channels: of the images.
        size: their height and width.
    """

    def __init__(self, latent: int, width: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        doublings = num_doublings(size)
        self.latent, self.size = latent, size
        self._base = tuple(math.ceil(side / 2**doublings) for side in size)
        widths = [width * 2**power for power in range(doublings, -1, -1)]
        self.first = nn.Linear(latent, widths[0] * math.prod(self._base))
        pairs = zip(widths, widths[1:], strict=False)
        self.blocks = nn.ModuleList(nn.Conv2d(wide, narrow, 3, padding=1) for wide, narrow in pairs)
        self.last = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """Map latent vectors (N, Z) to images (N, C, H, W) in [0, 1]."""
        values = self.first(latents).relu().unflatten(1, (-1, *self._base))
        for convolution in self.blocks:
            values = convolution(nn.functional.interpolate(values, scale_factor=2.0)).relu()
        images: Tensor = self.last(values).sigmoid()[..., : self.size[0], : self.size[1]]
        return images


class Critic(nn.Module):
    """Images to scores, higher for natural ones; no normalisation, which a penalty on each image's gradient forbids."""

    def __init__(self, width: int, channels: int, size: tuple[int, int]) -> None:
        """Halve images with `channels` channels of this height and width as often as the generator doubles them."""
        super().__init__()
        doublings = num_doublings(size)
        widths = [channels, *(width * 2**power for power in range(1, doublings + 1))]
        pairs = zip(widths, widths[1:], strict=False)
        layers = [layer for pair in pairs for layer in (nn.Conv2d(*pair, 4, 2, padding=1), nn.LeakyReLU(0.2))]
        sides = [side // 2**doublings for side in size]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * math.prod(sides), 1))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to scores (N,)."""
        scores: Tensor = self.layers(images)[:, 0]
        return scores


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """Give linear layers and convolutions the usual weights for ReLU, from a generator alone; gives the module back."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            assert layer.bias is not None
            layer.bias.zero_()
    return module
