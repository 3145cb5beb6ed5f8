"""What encoders are made of: normalisation, activations, the stem, and the 1x1 convolution of shortcuts."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.config import ModelConfig

SOFTPLUS_BETA = 10.0
"""Sharpness of softplus, as in smooth adversarial training (Xie et al. 2020): nearer to ReLU than the usual 1."""
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    # In place: what a convolution or BatchNorm gives is needed by nobody else, and its memory need not be kept.
    "relu": partial(F.relu, inplace=True),
    "silu": F.silu,
    "softplus": partial(F.softplus, beta=SOFTPLUS_BETA),
}
REGISTER = 8
"""Values of fp32 in a register of AVX2."""


class Normalised(nn.Module):
    """An encoder that normalises its images itself, which keeps every attack in pixel space."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("mean", per_channel(config.mean))
        self.register_buffer("std", per_channel(config.std))

    def normalised(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] with channel means taken away and divided by channel deviations."""
        return (images - self.mean) / self.std

    def normalise_by(self, config: ModelConfig) -> None:
        """Fill mean and deviation, where they were made without memory."""
        self.mean.copy_(per_channel(config.mean))
        self.std.copy_(per_channel(config.std))


def per_channel(values: tuple[float, ...]) -> Tensor:
    """One number for each channel, (1, C, 1, 1)."""
    return torch.tensor(values).view(1, len(values), 1, 1)


def stem_of(config: ModelConfig, channels: int) -> tuple[nn.Conv2d, nn.Module]:
    """The first convolution, and the pooling that comes before the blocks.

    Returns:
        For "cifar" a 3x3 convolution of stride 1 and no pooling; for "imagenet" a 7x7 one of stride 2 and a 3x3 maximum
        of stride 2 (He et al. 2016), so that the blocks see a quarter of each side.
    """
    if config.stem == "cifar":
        return nn.Conv2d(config.num_channels, channels, 3, 1, 1, bias=False), nn.Identity()
    return nn.Conv2d(config.num_channels, channels, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1)


def averaged(hidden: Tensor) -> Tensor:
    """Map (N, D, H, W) to features (N, D), the means over all pixels."""
    return hidden.mean((2, 3))


class Pointwise(nn.Conv2d):
    """A 1x1 convolution without padding that takes every stride-th pixel first, where the channels are few.

    The result is the same. But for the gradient by its weights torch calls oneDNN, whose kernel for AVX2 writes past
    its memory when the images lie in channels_last and have fewer channels than a register holds (oneDNN issue 6035):
    it crashes, never ends, or is wrong without a word.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        if self.in_channels >= REGISTER:
            return super().forward(input)
        rows, columns = self.stride
        return F.conv2d(input[:, :, ::rows, ::columns], self.weight, self.bias)
