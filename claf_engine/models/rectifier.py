"""Networks of a perturbation rectifying network (Akhtar, Liu and Mian 2018), and the perturbations that it learns from.

The rectifier stands before a classifier that it leaves as it is. The detector looks at what the rectifier changed, as a
spectrum: a universal perturbation has one that natural images lack.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAST_WIDTH = 16
"""Channels before the last convolution."""
FLOOR = 1e-5
"""Added to the size of a coefficient before its logarithm; images have levels of 1/255."""


class _Block(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, values: Tensor) -> Tensor:
        changed: Tensor = self.second(F.relu(self.first(F.relu(values))))
        return values + changed


class Rectifier(nn.Module):
    """Images to images of the same shape, by convolutions that begin as the identity.

    Args:
        channels: of the images.
        width: channels inside.
        num_blocks: residual blocks of two convolutions.
    """

    def __init__(self, channels: int, width: int, num_blocks: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(_Block(width) for _ in range(num_blocks)))
        self.narrow = nn.Conv2d(width, LAST_WIDTH, 3, padding=1)
        self.last = nn.Conv2d(LAST_WIDTH, channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Rectified images (N, C, H, W), which may leave [0, 1] a little."""
        changed: Tensor = self.last(F.relu(self.narrow(F.relu(self.blocks(self.first(images))))))
        return images + changed


class SpectrumDetector(nn.Module):
    """A linear classifier of the logarithm of the spectrum of what a rectifier changed.

    Args:
        size: height and width of the images.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        height, width = size
        self.register_buffer("rows", cosines(height))
        self.register_buffer("columns", cosines(width))
        self.scale = nn.BatchNorm1d(height * width, affine=False)
        self.linear = nn.Linear(height * width, 1)

    def forward(self, changes: Tensor) -> Tensor:
        """Map rectified minus given images (N, C, H, W) to distances (N,) from the boundary; perturbed is positive."""
        scores: Tensor = self.linear(self.scale(log_spectrum(changes, self.rows, self.columns).flatten(1)))
        return scores[:, 0]


class PerturbationSet(nn.Module):
    """Universal perturbations, kept with the state of a run as a buffer (P, C, H, W); zero until they are found."""

    values: Tensor

    def __init__(self, count: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(count, channels, *size))


def cosines(size: int) -> Tensor:
    """The orthonormal matrix (size, size) of the discrete cosine transform of type II: frequency by place."""
    places = torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(math.pi / size * (places[None] + 0.5) * places[:, None]) * math.sqrt(2 / size)
    matrix[0] *= math.sqrt(0.5)
    return matrix.float()


def log_spectrum(changes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Logarithm (N, H, W) of the sizes of the cosine transform of changes (N, C, H, W), made gray.

    Args:
        changes: differences of images.
        rows: of `cosines`, for the height.
        columns: the same for the width.
    """
    gray = changes.float().mean(1)
    return ((rows @ gray @ columns.T).abs() + FLOOR).log()


def build_rectifier(channels: int, width: int, num_blocks: int, generator: torch.Generator) -> Rectifier:
    """A rectifier on the CPU that is the identity; the other layers are drawn from the generator."""
    with torch.device("meta"):
        rectifier = Rectifier(channels, width, num_blocks)
    rectifier.to_empty(device="cpu")
    _draw(rectifier, generator)
    nn.init.zeros_(rectifier.last.weight)
    nn.init.zeros_(rectifier.last.bias)  # type: ignore[arg-type]
    return rectifier


def build_detector(size: tuple[int, int], generator: torch.Generator) -> SpectrumDetector:
    """A detector on the CPU for images of this height and width."""
    with torch.random.fork_rng(devices=[]):  # what torch draws on its own is drawn again below
        detector = SpectrumDetector(size)
    _draw(detector, generator)
    return detector


@torch.no_grad()
def _draw(module: nn.Module, generator: torch.Generator) -> None:
    """Torch's default distribution of convolutions and linear layers, from an explicit generator."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            layer.weight.uniform_(-bound, bound, generator=generator)
            if layer.bias is not None:
                layer.bias.uniform_(-bound, bound, generator=generator)
