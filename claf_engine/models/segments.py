"""Encoders in parts, between which no tensor but the result of a part is held."""

from collections.abc import Callable

from torch import Tensor, nn

Segment = Callable[[Tensor], Tensor]
"""A part of an encoder's forward pass: hidden images (N, ...) to hidden images or features (N, ...)."""


def segments_of(encoder: nn.Module) -> tuple[Segment, ...]:
    """The forward pass in parts, one after the other: what the encoder's `segments` gives, or else all of it as one."""
    give = getattr(encoder, "segments", None)
    return tuple(give()) if callable(give) else (encoder,)


def through(segments: tuple[Segment, ...], images: Tensor) -> Tensor:
    """What the parts make of images (N, C, H, W), one after the other."""
    hidden = images
    for segment in segments:
        hidden = segment(hidden)
    return hidden
