"""Non-local means (Buades, Coll and Morel 2005): every pixel becomes a mean of those whose surroundings look alike."""

from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.accuracy.defences import Defence, Preprocessed


@dataclass(frozen=True)
class NonLocalMeans(Defence):
    """Non-local smoothing as a squeezer (Xu, Evans and Qi 2018).

    Attributes:
        search: side of the window that is searched, in pixels, odd.
        patch: side of what is compared, odd.
        strength: in levels of an 8-bit image.
    """

    search: int
    patch: int
    strength: int

    def __str__(self) -> str:
        return f"nlm:{self.search},{self.patch},{self.strength}"

    def squeeze(self, images: Tensor) -> Tensor:
        """Squeeze images (N, C, H, W) in [0, 1]; the result lies there too."""
        return non_local_means(images, self.search, self.patch, self.strength)

    def guarded(self, model: nn.Module) -> nn.Module:
        """The model behind it, whose gradient takes the smoothing for the identity."""
        return Preprocessed(model, self, self.squeeze)


def non_local_means(images: Tensor, search: int, patch: int, strength: float) -> Tensor:
    """Average every pixel p of (N, C, H, W) in [0, 1] over the pixels q of a window around it.

    The weight of q is exp(-d(p, q) / h^2), where d is the mean squared difference of the patches around p and q, over
    their pixels and channels. The border is mirrored without its edge. This is the filter of OpenCV on an image in
    RGB, whose form for colours works in Lab.

    Args:
        images: not modified.
        search: side of the window that is searched, odd.
        patch: side of a patch, odd.
        strength: h in levels of an 8-bit image; what differs by much more is left out.
    """
    reach, radius = search // 2, patch // 2
    height, width = images.shape[2:]
    padded = _mirror(_mirror(images, 2, reach + radius), 3, reach + radius)
    own = padded[..., reach : reach + height + 2 * radius, reach : reach + width + 2 * radius]
    total, weights = torch.zeros_like(images), images.new_zeros(len(images), 1, height, width)
    for down, right in product(range(search), repeat=2):
        other = padded[..., down : down + height + 2 * radius, right : right + width + 2 * radius]
        differences = (own - other).square().mean(1, keepdim=True)
        weight = (F.avg_pool2d(differences, patch, 1) * -((255 / strength) ** 2)).exp()
        total += weight * other[..., radius : radius + height, radius : radius + width]
        weights += weight
    return total / weights


def _mirror(images: Tensor, dim: int, margin: int) -> Tensor:
    """Extend one dimension by a margin at both ends: c b | a b c | b a."""
    size = images.shape[dim]
    period = max(1, 2 * size - 2)
    index = torch.arange(-margin, size + margin, device=images.device) % period
    return images.index_select(dim, torch.minimum(index, period - index))
