"""The forward pass that is trained through: as it is, recomputed in the backward pass, or in micro-batches."""

from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from claf_engine.compute.device import Compute
from claf_engine.models.segments import segments_of
from claf_engine.training.micro_batches import in_micro_batches, repeated


def encode(encoder: nn.Module, images: Tensor, compute: Compute) -> Tensor:
    """Features (N, D) of images (N, C, H, W), with their graph, in no more memory than was asked for.

    Call it in train mode and in training precision.

    Args:
        encoder: what is trained.
        images: arranged for the device.
        compute: its `micro_batch` and `recompute`.

    Raises:
        ConfigError: see `in_micro_batches`.
    """
    if compute.micro_batch is not None:
        return in_micro_batches(encoder, images, compute.micro_batch)
    if compute.recompute:
        return recomputed(encoder, images)
    features: Tensor = encoder(images)
    return features


def recomputed(encoder: nn.Module, images: Tensor) -> Tensor:
    """Features whose graph holds what goes in and out of each segment, and computes the rest in the backward pass.

    The same kernels see the same numbers (Chen et al. 2016), so that features and gradients are those of `encoder`
    to the bit, BatchNorm's buffers are updated once, and random draws such as dropout's are repeated.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), repeated(encoder)

    hidden = images
    for segment in segments_of(encoder):
        hidden = checkpoint(segment, hidden, use_reentrant=False, context_fn=contexts)
    return hidden
