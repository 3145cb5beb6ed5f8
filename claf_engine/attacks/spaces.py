"""The coordinates that an attack lives in.

`pixel` is the image itself. `released-code` is what the authors' released code attacked: normalised values, which its
attack then clamped to [0, 1]. That moves most pixels before any step is taken, so what it measures is not accuracy in
an epsilon-ball; it is here because the paper's figures can only be understood with it (docs/attacks.md).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from claf_engine.config import ModelConfig
from claf_engine.terms.names import SpaceName

RELEASED_CODE: SpaceName = "released-code"


@dataclass(frozen=True)
class Space:
    """Coordinates u = (x - offset) / scale of an image x, per channel; an attack keeps them in [0, 1].

    Attributes:
        name: "pixel" or "released-code".
        offset: per channel; empty for the identity.
        scale: the same.
    """

    name: SpaceName = "pixel"
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    @property
    def is_pixel(self) -> bool:
        """Whether epsilon is a distance between images."""
        return self.name == "pixel"

    def enter(self, images: Tensor) -> Tensor:
        """Coordinates of images (N, C, H, W); values outside [0, 1] are kept."""
        return images if self.is_pixel else (images - _channels(self.offset, images)) / _channels(self.scale, images)

    def leave(self, coordinates: Tensor) -> Tensor:
        """Images (N, C, H, W) of coordinates."""
        if self.is_pixel:
            return coordinates
        return coordinates * _channels(self.scale, coordinates) + _channels(self.offset, coordinates)

    def pull_back(self, gradient: Tensor) -> Tensor:
        """Gradient by coordinates of a gradient by images."""
        return gradient if self.is_pixel else gradient * _channels(self.scale, gradient)


PIXEL = Space()


def space_of(name: SpaceName, model: ModelConfig) -> Space:
    """The space of this name for a network that normalises with the model's means and deviations."""
    return PIXEL if name == "pixel" else Space(name, model.mean, model.std)


def _channels(values: tuple[float, ...], like: Tensor) -> Tensor:
    # Filled where they are needed: a tensor made from a list waits until it is copied to the device.
    return torch.stack([torch.full((1, 1), value, dtype=like.dtype, device=like.device) for value in values])
