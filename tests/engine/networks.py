"""Checkpoints of any network whose every tensor differs from what it is initialised with, for exports and imports."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.compute.device import Compute
from claf_engine.config import DataConfig, ModelConfig, RunConfig
from claf_engine.models.network import NATURAL
from claf_engine.runs import create_run, to_plain
from claf_engine.training.checkpoint import Description, checkpoint_path, load_trained_network, save_checkpoint
from claf_engine.training.state import begin

CLASSES = ("cat", "dog", "emu")
SHAPES = ("disc", "ring", "square", "triangle", "cross", "star", "heart", "crescent", "arrow", "bars")


def lively(model: nn.Module, seed: int = 7) -> nn.Module:
    """Random weights that keep signals alive, and BatchNorm statistics far from their start; in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif name.rpartition(".")[2] in {"mean", "std", "mu", "sigma"}:
            continue
        elif tensor.dim() > 1:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
        elif name.endswith(("running_var", "weight")):
            tensor.uniform_(0.7, 1.3, generator=generator)
        else:
            tensor.normal_(0, 0.1, generator=generator)
    return model.eval()


def checkpoint_of(
    root: Path,
    classes: tuple[str, ...] = SHAPES,
    source: str = "shapes",
    size: int = 16,
    images: DataConfig | None = None,
    **model: Any,
) -> Path:
    """The checkpoint of a run that seems to have trained a network of these settings naturally."""
    config = RunConfig(method="natural", data=images or DataConfig(source=source), model=ModelConfig(**model))
    compute = Compute(torch.device("cpu"), "fp32", 1)
    state = begin(config, len(classes), compute, (size, size))
    lively(state.network)
    state.cursor.step = 5
    state.cursor.end_phase()
    directory = create_run(root, "trained", config, [])
    path = checkpoint_path(directory.checkpoints, 5)
    description = Description(
        run=directory.path.name,
        config=to_plain(config),
        phase="natural",
        metrics={},
        classifier=NATURAL,
        class_names=classes,
        num_records=0,
        compute=compute.record(),
        versions={},
        trained_classifiers=(NATURAL,),
        image_size=(size, size),
    )
    save_checkpoint(path, state, description)
    directory.close()
    return path


def random_images(channels: int = 3, size: int = 16) -> Tensor:
    return torch.rand(4, channels, size, size, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def logits(model: nn.Module, images: Tensor) -> Tensor:
    found: Tensor = model(images)
    return found


def trained(checkpoint: Path) -> nn.Module:
    """Its natural classifier: images to logits."""
    return load_trained_network(checkpoint).network.with_classifier(NATURAL).eval()


class WideBlock(nn.Module):
    """A block of the wide network of TRADES (Zhang et al. 2019): the shortcut takes the activated input."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        if channels_in != channels_out:
            self.convShortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        hidden: Tensor = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return hidden + (self.convShortcut(active) if hasattr(self, "convShortcut") else x)


class WideGroup(nn.Module):
    """Blocks of one size."""

    def __init__(self, number: int, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        first = WideBlock(channels_in, channels_out, stride)
        self.layer = nn.Sequential(first, *(WideBlock(channels_out, channels_out, 1) for _ in range(number - 1)))

    def forward(self, x: Tensor) -> Tensor:
        hidden: Tensor = self.layer(x)
        return hidden


class WideNetwork(nn.Module):
    """The wide network as TRADES and RobustBench name it: depth 6 n + 4, any channels, maybe normalising itself."""

    def __init__(self, number: int, channels: int, num_classes: int, *, normalises: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.block1 = WideGroup(number, 16, channels, 1)
        self.sub_block1 = WideGroup(number, 16, channels, 1)
        self.block2 = WideGroup(number, channels, 2 * channels, 2)
        self.block3 = WideGroup(number, 2 * channels, 4 * channels, 2)
        self.bn1 = nn.BatchNorm2d(4 * channels)
        self.fc = nn.Linear(4 * channels, num_classes)
        if normalises:
            self.register_buffer("mu", torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1))
            self.register_buffer("sigma", torch.tensor([0.25, 0.5, 0.2]).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        x = (images - self.mu) / self.sigma if hasattr(self, "mu") else images
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        found: Tensor = self.fc(F.relu(self.bn1(x)).mean((2, 3)))
        return found
