"""Networks and images whose accuracy under attack is known, and the shorthand to measure it."""

from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import Accuracy, accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.data import Split, to_pixels
from claf_engine.terms.names import Norm
from tests.engine.tiny import FP32, exhaust


def suite(*epsilons: Fraction | int, steps: int = 3, restarts: int = 1, seed: int = 0, **more: Any) -> AttackSuite:
    return AttackSuite(tuple(map(Fraction, epsilons)), steps, Fraction(2, 255), restarts, seed, **more)


def measure(model: nn.Module, split: Split, attacks: AttackSuite, **options: Any) -> Accuracy:
    return exhaust(accuracy_steps(model, split, attacks, FP32, **options))[1]


def robust(accuracy: Accuracy) -> list[float]:
    return [figure.accuracy for figure in accuracy.robust]


class Linear(nn.Module):
    """Two classes; logits so flat that their gradient never vanishes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 2, device="meta").to_empty(device="cpu")
        generator = torch.Generator().manual_seed(1)
        nn.init.uniform_(self.layer.weight, -0.1, 0.1, generator=generator)
        nn.init.constant_(self.layer.bias, 0)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layer(images.flatten(1) - 0.5)
        return logits


def gray_images(count: int = 200) -> Split:
    """Images 2x2 far from black and white, so that no ball is cut off."""
    images = torch.randint(90, 166, (count, 3, 2, 2), generator=torch.Generator().manual_seed(2))
    return Split(images.to(torch.uint8), torch.arange(count) % 2)


def linear_robust_accuracy(model: Linear, split: Split, epsilon: Fraction, norm: Norm = "linf") -> float:
    """The worst case over the ball takes epsilon times the dual norm of the weights off the margin."""
    with torch.no_grad():
        logits = model(to_pixels(split.images))
        margin = (logits[:, 0] - logits[:, 1]) * (1 - 2 * split.labels)
        taken = float(epsilon) * (model.layer.weight[0] - model.layer.weight[1]).norm(1 if norm == "linf" else 2)
        return float((margin > taken).double().mean())


class Reader(nn.Module):
    """Reads the class off the red value of the first pixel."""

    def forward(self, images: Tensor) -> Tensor:
        level = images[:, :1, 0, 0]
        return torch.cat([1 - level, level], dim=1)


class Waves(nn.Module):
    """Decisions that change back and forth within a ball; in fp64, so that the size of a batch rounds nothing away."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.waves = nn.Parameter(torch.randn(12, 16, generator=generator, dtype=torch.float64) * 4)
        self.classes = nn.Parameter(torch.randn(16, 3, generator=generator, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return torch.sin((images.double().flatten(1) - 0.5) @ self.waves) @ self.classes


class Threshold(nn.Module):
    """Of class 1 where the mean of an image lies above a half; its gradient pushes towards class 1."""

    def forward(self, images: Tensor) -> Tensor:
        over = images.double().mean((1, 2, 3)) - 0.5
        return torch.stack([-over, over], dim=1)
