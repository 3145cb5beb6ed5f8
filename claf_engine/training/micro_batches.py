"""An encoder trained a few images at a time, with the loss and the gradients of the whole batch.

The forward pass holds no graph, only what goes in and out of each segment of the encoder. Whatever loss is made of the
features then sends one gradient for each of them back, and the backward pass computes the segments once more, last one
first and a micro-batch at a time (as GradCache does for whole networks, Gao et al. 2021). So a contrastive loss still
sees every pair of the batch.

BatchNorm couples the images of a batch, and a micro-batch alone has other statistics. With x' = (x - m) / s over the n
values of a channel and g the gradient by y = gamma x' + beta, the gradient by x is

    gamma / s (g - sum(g) / n - x' sum(g x') / n),

so that all that a micro-batch must know of the others are m and s, which the forward pass keeps, and the two sums,
which are the gradients by beta and gamma. They are added up over all micro-batches before anything goes further back:
one more computation of the segment for every BatchNorm in it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from claf_engine.compute.device import default_states
from claf_engine.compute.parts import in_parts
from claf_engine.models.modes import buffers_kept, training
from claf_engine.models.segments import Segment, segments_of
from claf_engine.terms.errors import ConfigError
from claf_engine.training.batch_statistics import NormCall, Recording, Replaying


def in_micro_batches(encoder: nn.Module, images: Tensor, size: int) -> Tensor:
    """An encoder's features of images in train mode, with a graph that computes `size` images at a time.

    The features are those of the whole batch, and where BatchNorm is in the encoder to the bit; gradients differ by the
    order of their sums. Buffers of BatchNorm are updated once. Call it in train mode, and in all processes that a batch
    lies in.

    Args:
        encoder: images (N, ...) to features (N, D); but for BatchNorm it treats every image on its own.
        images: (N, C, H, W).
        size: images of a micro-batch.

    Raises:
        ConfigError: the encoder draws random numbers, or calls `batch_norm` as a function.
    """
    parameters = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    features: Tensor = _InMicroBatches.apply(_Pass(encoder, size), images, *parameters)
    return features


@dataclass
class _Passed:
    """A segment, its inputs (N, ...) for the whole batch, and the calls of BatchNorm in it, in their order."""

    segment: Segment
    inputs: Tensor
    calls: list[NormCall]


@dataclass
class _Pass:
    """A forward pass, and what its backward pass needs of it."""

    encoder: nn.Module
    size: int
    passed: list[_Passed] = field(default_factory=list)


class _InMicroBatches(torch.autograd.Function):
    """Images and parameters to features; the graph is built in the backward pass, part by part."""

    @staticmethod
    def forward(ctx: Any, taken: _Pass, images: Tensor, *parameters: Tensor) -> Tensor:
        device = images.device
        ctx.taken, ctx.parameters = taken, parameters
        ctx.autocast = device.type, torch.get_autocast_dtype(device.type), torch.is_autocast_enabled(device.type)
        before = default_states(device)
        features = _forward(taken, images)
        if not all(map(torch.equal, before, default_states(device))):
            raise ConfigError(
                "the model draws random numbers while it trains, as dropout does, and micro-batches would draw others; "
                "set runtime.micro_batch = none and runtime.recompute = true"
            )
        return features

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        taken: _Pass = ctx.taken
        totals: list[Tensor | None] = [None] * len(ctx.parameters)
        device, dtype, is_enabled = ctx.autocast
        autocast = torch.autocast(device, dtype, enabled=is_enabled, cache_enabled=False)
        with autocast, repeated(taken.encoder), torch.enable_grad():
            while taken.passed:
                passed = taken.passed.pop()
                _find_sums(passed, gradient, taken.size)
                gradient = _add_gradients(passed, gradient, taken.size, ctx.parameters, totals)
        return None, gradient, *totals


@contextmanager
def repeated(encoder: nn.Module) -> Iterator[None]:
    """Train mode for a pass that was taken before, and that moves no running statistics again."""
    with training(encoder), buffers_kept(encoder):
        yield


def _forward(taken: _Pass, images: Tensor) -> Tensor:
    """Features without a graph: of all images at once where BatchNorm needs them, and else by micro-batches."""
    norms = [module for module in taken.encoder.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return _forward_apart(taken, images)
    hidden = images
    for segment in segments_of(taken.encoder):
        with Recording() as recording:
            outputs = segment(hidden)
        taken.passed.append(_Passed(segment, hidden, recording.calls))
        hidden = outputs
    if sum(len(each.calls) for each in taken.passed) < len(norms):
        kinds = sorted({type(norm).__name__ for norm in norms})
        raise ConfigError(
            f"micro-batches cannot follow what {' or '.join(kinds)} computes, for it does not call torch's batch_norm; "
            "set runtime.micro_batch = none and runtime.recompute = true"
        )
    return hidden


def _forward_apart(taken: _Pass, images: Tensor) -> Tensor:
    """Features of an encoder whose images know nothing of each other; only the images are kept."""
    with Recording() as recording:
        features = torch.cat([taken.encoder(part) for (part,) in in_parts(taken.size, images)])
    if recording.calls:
        raise ConfigError("the model calls batch_norm as a function, which micro-batches cannot follow; use a module")
    taken.passed.append(_Passed(taken.encoder, images, []))
    return features


def _find_sums(passed: _Passed, gradient: Tensor, size: int) -> None:
    """Fill in the sums of each BatchNorm of a segment, the last one first, because its own shape those before it.

    Args:
        passed: the segment.
        gradient: by its outputs, for the whole batch.
        size: of a micro-batch.
    """
    for number, call in reversed(list(enumerate(passed.calls))):
        sums = torch.zeros_like(torch.stack([call.mean, call.mean]))
        for inputs, piece in in_parts(size, passed.inputs, gradient):
            outputs, affine = _replayed(passed, inputs)
            by_weight, by_bias = torch.autograd.grad(outputs, affine[number], piece, materialize_grads=True)
            sums += torch.stack([by_bias, by_weight])
        call.sums = call.world.sum(sums)


def _add_gradients(
    passed: _Passed, gradient: Tensor, size: int, parameters: Sequence[Tensor], totals: list[Tensor | None]
) -> Tensor:
    """Add a segment's gradients by the parameters to `totals`, which begin as None.

    Returns:
        The gradient by its inputs, for the whole batch.
    """
    below = torch.empty_like(passed.inputs)
    for inputs, piece, place in in_parts(size, passed.inputs, gradient, below):
        leaf = inputs.detach().requires_grad_(True)
        outputs, _ = _replayed(passed, leaf)
        by_inputs, *found = torch.autograd.grad(outputs, (leaf, *parameters), piece, allow_unused=True)
        place.copy_(by_inputs)
        for number, (total, added) in enumerate(zip(totals, found, strict=True)):
            totals[number] = total if added is None else added if total is None else total + added
    return below


def _replayed(passed: _Passed, inputs: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Outputs of a segment for a micro-batch, with their graph, and gamma and beta of each BatchNorm in that graph."""
    with Replaying(passed.calls) as replaying:
        outputs = passed.segment(inputs)
    return outputs, replaying.affine
