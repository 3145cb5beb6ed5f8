"""A rectifier before a classifier as a defence, and what it changes as a detector (Akhtar, Liu and Mian 2018).

Both are plain differentiable networks: an attacker who knows of them climbs through them, and nothing stands in for a
gradient.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from claf_engine.accuracy.defences import Defence

NAME = "rectifier"


class Rectified(nn.Module):
    """A classifier of rectified images."""

    def __init__(self, rectifier: nn.Module, model: nn.Module) -> None:
        super().__init__()
        self.rectifier = rectifier
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to logits (N, K) of the rectified images."""
        logits: Tensor = self.model(self.rectifier(images))
        return logits


@dataclass(frozen=True)
class Rectifying(Defence):
    """A rectifier, images to images, before a classifier."""

    rectifier: nn.Module

    def __str__(self) -> str:
        return NAME

    def guarded(self, model: nn.Module) -> nn.Module:
        """The model behind the rectifier, with its true gradient."""
        return Rectified(self.rectifier, model)


@dataclass(frozen=True)
class RectifierDetector:
    """Suspects images of which the rectifier changes what it changes of perturbed ones.

    Attributes:
        rectifier: images (N, C, H, W) to images; in eval mode, without gradients of its own.
        detector: changes (N, C, H, W) to scores (N,); likewise.
    """

    rectifier: nn.Module
    detector: nn.Module

    def __str__(self) -> str:
        return NAME

    def scores(self, images: Tensor) -> Tensor:
        """How suspicious images (N, C, H, W) in [0, 1] are, (N,): distances from the boundary, with their gradient."""
        found: Tensor = self.detector(self.rectifier(images) - images)
        return found

    def excess(self, scores: Tensor, threshold: float) -> Tensor:
        """How far scores (N,) lie above a threshold, which an attacker climbs down."""
        return scores - threshold
