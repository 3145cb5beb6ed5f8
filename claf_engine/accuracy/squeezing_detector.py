"""The joint detector of feature squeezing (Xu, Evans and Qi 2018): does squeezing change the answer?"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from claf_engine.accuracy.defences import Defence
from claf_engine.accuracy.detectors import Detector

RESOLUTION = 1e-6
"""Of distances between softmaxes in fp32."""


@dataclass(frozen=True)
class SqueezingDetector(Detector):
    """Scores images by how far squeezing moves what a classifier says: max_s |softmax f(x) - softmax f(s(x))|_1.

    Attributes:
        model: images (N, C, H, W) in [0, 1] to logits (N, K).
        squeezers: at least one; their gradients are those of an attacker who knows of them.
    """

    model: nn.Module
    squeezers: tuple[Defence, ...]

    def __str__(self) -> str:
        return f"squeezing:{'+'.join(map(str, self.squeezers))}"

    def scores(self, images: Tensor) -> Tensor:
        """Scores (N,) in [0, 2] of images (N, C, H, W) in [0, 1]."""
        said = self.model(images).softmax(1)
        squeezed = (squeezer.guarded(self.model)(images).softmax(1) for squeezer in self.squeezers)
        return torch.stack([(said - each).abs().sum(1) for each in squeezed]).amax(0)

    def excess(self, scores: Tensor, threshold: float) -> Tensor:
        """The logarithm of score / threshold: softmaxes saturate, so their distance itself has hardly a gradient."""
        return ((scores + RESOLUTION) / (threshold + RESOLUTION)).log()
