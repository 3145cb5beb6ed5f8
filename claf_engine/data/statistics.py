"""Mean and deviation of each channel of training images, by which a network normalises."""

from dataclasses import dataclass

import torch
from torch import Tensor

LEVELS = 256
DECIMALS = 4
"""Of a statistic: as many as the usual ones are printed with, and few enough to be the same on all machines."""


@dataclass(frozen=True)
class ChannelStatistics:
    """Of pixels in [0, 1], one value per channel; `std` is above 0.

    Attributes:
        mean: of all pixels of all images.
        std: their standard deviation; 1 for a channel that is the same everywhere.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


def count_levels(images: Tensor) -> Tensor:
    """How often each level occurs in each channel of images (N, C, H, W) uint8: (C, 256) int64, on the CPU.

    Counts of parts of a set add up to those of the set.
    """
    channels = images.transpose(0, 1).flatten(1)
    return torch.stack([torch.bincount(channel, minlength=LEVELS) for channel in channels]).cpu()


def statistics_of(counts: Tensor) -> ChannelStatistics:
    """Mean and deviation from counts (C, 256) of levels, which makes them exact whatever the order of the images."""
    values = torch.arange(LEVELS, dtype=torch.float64) / 255
    shares = counts.double() / counts.sum(1, keepdim=True)
    means = (shares * values).sum(1)
    deviations = (shares * (values - means[:, None]).square()).sum(1).sqrt()
    mean, std = ([round(value, DECIMALS) for value in found.tolist()] for found in (means, deviations))
    return ChannelStatistics(tuple(mean), tuple(value or 1.0 for value in std))


def channel_statistics(images: Tensor) -> ChannelStatistics:
    """Statistics of images (N, C, H, W) uint8, on any device."""
    return statistics_of(count_levels(images))
