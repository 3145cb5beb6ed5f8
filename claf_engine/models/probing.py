"""Whether a model of somebody else's takes the images, and gives what it should."""

import torch
from torch import Tensor, nn

from claf_engine.models.modes import evaluating
from claf_engine.terms.errors import DataError, first_line

UNFIT = (RuntimeError, AssertionError, ValueError, TypeError, IndexError)
"""What modules raise for images that they do not take."""
ImageShape = tuple[int, int, int]
"""Channels, height and width."""


def probe_images(image: ImageShape) -> Tensor:
    """Two images (2, C, H, W) in [0, 1] to ask a module what it gives."""
    return torch.rand((2, *image), generator=torch.Generator().manual_seed(0))


def require_output(model: nn.Module, images: Tensor, name: str) -> Tensor:
    """Give what a model makes of images, one row (N, D) for each, in eval mode.

    Raises:
        DataError: it does not take such images, or gives something else.
    """
    channels, height, width = images.shape[1:]
    shown = f"images of {width}x{height} pixels and {channels} channel{'' if channels == 1 else 's'}"
    try:
        with torch.no_grad(), evaluating(model):
            logits = model(images)
    except UNFIT as error:
        raise DataError(f"{name} does not take {shown}: {first_line(error)}; give it images that it takes") from error
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(images):
        told = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise DataError(f"{name} gives {told} for {len(images)} images; it must give logits ({len(images)}, classes)")
    return logits


def takes_no_images(model: nn.Module, images: Tensor) -> bool:
    """Whether a model makes no rows of no images (0, C, H, W), in eval mode; what counts them by -1 cannot."""
    try:
        with torch.no_grad(), evaluating(model):
            return len(model(images)) == 0
    except UNFIT:
        return False


def require_logits(model: nn.Module, images: Tensor, num_classes: int, name: str) -> Tensor:
    """Give the logits (N, K) of images, in eval mode.

    Raises:
        DataError: see `require_output`; or there are other classes, or no finite numbers.
    """
    logits = require_output(model, images, name)
    if logits.shape[1] != num_classes:
        raise DataError(
            f"{name} tells {logits.shape[1]} classes apart, and the data has {num_classes}; give data of its "
            "classes, or a model of so many outputs"
        )
    if not bool(logits.isfinite().all()):
        raise DataError(f"{name} gives logits that are not finite for images in [0, 1]; normalise inside the module")
    return logits
