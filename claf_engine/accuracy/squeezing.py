"""Feature squeezing (Xu, Evans and Qi 2018): images that say less, before the classifier sees them."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from claf_engine.accuracy.defences import Defence, Preprocessed
from claf_engine.accuracy.measure import abandonable
from claf_engine.attacks import Attack, make_attack
from claf_engine.attacks.gradients import log_odds
from claf_engine.attacks.loop import ascent_steps
from claf_engine.events.ticks import Pulse
from claf_engine.models.modes import frozen


@dataclass(frozen=True)
class Squeezing(Defence):
    """One squeezer of images.

    Attributes:
        kind: what is squeezed.
        strength: bits for each channel value (1 to 7), or the side of the median's window in pixels (2 to 5).
    """

    kind: Literal["bit-depth", "median"]
    strength: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.strength}"

    def squeeze(self, images: Tensor) -> Tensor:
        """Squeeze images (N, C, H, W) in [0, 1]; the result lies there too."""
        return reduce_bits(images, self.strength) if self.kind == "bit-depth" else smooth(images, self.strength)

    def guarded(self, model: nn.Module) -> nn.Module:
        """The model behind it, whose gradient takes the squeezing for the identity."""
        return Preprocessed(model, self, self.squeeze)

    def further_steps(
        self, model: nn.Module, images: Tensor, labels: Tensor, spec: Attack
    ) -> Generator[Pulse, None, tuple[Tensor, ...]]:
        """Where a median stands before the model, the attack from the image on the gradient of both.

        That of the median is a one at the pixel that each value is taken from. The identity in its place climbs fine
        patterns, which a median wipes out. Rounding has no gradient of its own.
        """
        if self.kind != "median":
            return ()

        def gradient(points: Tensor) -> Tensor:
            points = points.detach().requires_grad_()
            with torch.enable_grad():
                losses = log_odds(model(self.squeeze(points)), labels)
            return torch.autograd.grad(losses.sum(), points)[0]

        own = make_attack("pgd", spec.epsilon, steps=None, norm=spec.norm) if spec.is_registered else spec
        with frozen(model):
            steps = ascent_steps(gradient, images, replace(own, start="none"), torch.Generator())
            return ((yield from abandonable(steps)),)


def reduce_bits(images: Tensor, bits: int) -> Tensor:
    """Round values in [0, 1] to 2^bits levels: round(x (2^b - 1)) / (2^b - 1) (Xu et al. 2018)."""
    highest = (1 << bits) - 1
    return (images * highest).round() / highest


def smooth(images: Tensor, side: int) -> Tensor:
    """Median of a side x side window around every pixel of (N, C, H, W) (Xu et al. 2018).

    The window, the upper median of an even one and the mirrored border, edge included, are those of
    `scipy.ndimage.median_filter(mode="reflect")`, which the paper uses.
    """
    padded = _mirror(_mirror(images, 2, side), 3, side)
    windows = padded.unfold(2, side, 1).unfold(3, side, 1).flatten(4)
    medians: Tensor = windows.sort(dim=-1).values[..., side * side // 2]
    return medians


def _mirror(images: Tensor, dim: int, side: int) -> Tensor:
    """Extend one dimension by what a window needs: d c b a | a b c d | d c b a."""
    size = images.shape[dim]
    index = torch.arange(-(side // 2), size + (side - 1) // 2, device=images.device)
    index = index % (2 * size)
    return images.index_select(dim, torch.minimum(index, 2 * size - 1 - index))
