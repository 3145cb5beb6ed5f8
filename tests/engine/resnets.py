"""A ResNet-18 of the naming that most published CIFAR models have, so narrow that a test can afford it."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 2
NUM_CLASSES = 10


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels_out:
            projection = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(hidden + self.shortcut(x))


class ForeignResNet(nn.Module):
    """The network as others wrote it."""

    def __init__(self, width: int = WIDTH, num_classes: int = NUM_CLASSES) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage in range(4):
            out = width * 2**stage
            blocks = Block(channels, out, 2 if stage else 1), Block(out, out, 1)
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
            channels = out
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.relu(self.bn1(self.conv1(images)))
        for stage in range(4):
            hidden = self.get_submodule(f"layer{stage + 1}")(hidden)
        logits: Tensor = self.linear(hidden.mean((2, 3)))
        return logits


def foreign_resnet(**sizes: int) -> ForeignResNet:
    """One in eval mode whose every tensor differs from what it would be initialised with."""
    with torch.random.fork_rng(devices=[]):
        network = ForeignResNet(**sizes).eval()
    generator = torch.Generator().manual_seed(11)
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif tensor.dim() == 1:
            tensor.uniform_(0.5, 1.5, generator=generator)
        else:
            tensor.normal_(0, 0.5, generator=generator)
    return network


def weights(**sizes: int) -> "OrderedDict[str, Tensor]":
    """The state dict of `foreign_resnet`."""
    return OrderedDict(foreign_resnet(**sizes).state_dict())


def write(path: Path, content: Any) -> Path:
    """Save as other people do."""
    torch.save(content, path)  # noqa: TID251 (what is tested is reading such files)
    return path
