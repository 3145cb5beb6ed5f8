"""BatchNorm folded into the convolutions before it, for attacks on frozen weights.

In eval mode BatchNorm is an affine map with constants, so convolution and BatchNorm together are one convolution: the
same function up to rounding, without the passes over memory that make most of BatchNorm's cost on a CPU. The copy is
frozen and knows nothing of later changes of the weights: `refold` it after every update of the encoder.
"""

import copy
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from claf_engine.models.architectures import OwnEncoder
from claf_engine.models.network import Pipeline


@torch.no_grad()
def fold_encoder(encoder: OwnEncoder) -> OwnEncoder:
    """A frozen eval-mode copy of an encoder that computes the same features without BatchNorm where it can."""
    copies: dict[int, nn.Module] = {}  # what a layer's copy is, where it is not the layer as it is
    for module in encoder.modules():
        for pair in _foldable(module):
            convolution, norm = map(module.get_submodule, pair)
            copies |= {id(convolution): _fused(convolution, norm), id(norm): nn.Identity()}
    return copy.deepcopy(encoder, copies).eval().requires_grad_(False)


def fold(model: nn.Module) -> nn.Module:
    """The model to attack in place of `model`: folded where it is a pipeline of ours, else `model` itself."""
    if isinstance(model, Pipeline) and isinstance(model.encoder, OwnEncoder):
        return Pipeline(fold_encoder(model.encoder), model.classifier)
    return model


@torch.no_grad()
def refold(folded: nn.Module, model: nn.Module) -> None:
    """Bring what `fold(model)` gave up to date with the model, in place and so without new memory.

    Whoever holds the folded weights, such as a captured pass, sees the new ones.
    """
    if folded is model:
        return
    assert isinstance(folded, Pipeline)
    assert isinstance(model, Pipeline)
    for copied, source in zip(folded.encoder.modules(), model.encoder.modules(), strict=True):
        for convolution, norm in _foldable(source):
            _fuse_into(getattr(copied, convolution), getattr(source, convolution), getattr(source, norm))
    for copied, source in _unfolded(folded.encoder, model.encoder):
        for target, tensor in zip(_tensors(copied), _tensors(source), strict=True):
            target.copy_(tensor)


def _foldable(module: nn.Module) -> tuple[tuple[str, str], ...]:
    """Names of a module's convolutions, each with that of the BatchNorm that is folded into it."""
    pairs: tuple[tuple[str, str], ...] = getattr(module, "FOLDABLE", ())
    return pairs


def _unfolded(folded: nn.Module, model: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """The layers that both have as they are, the copy's first."""
    into = {
        id(part) for module in model.modules() for pair in _foldable(module) for part in map(module.get_submodule, pair)
    }
    for copied, source in zip(folded.modules(), model.modules(), strict=True):
        if id(source) not in into:
            yield copied, source


def _tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    """A module's own parameters and buffers."""
    yield from module.parameters(recurse=False)
    yield from module.buffers(recurse=False)


def _fuse_into(convolution: nn.Module, source: nn.Module, norm: nn.Module) -> None:
    """Fill a folded convolution from the convolution and the BatchNorm that it stands for."""
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is not None
    weight, bias = _fused_weights(source, norm)
    convolution.weight.copy_(weight)
    convolution.bias.copy_(bias)


def _fused(convolution: nn.Module, norm: nn.Module) -> nn.Module:
    """One convolution for a convolution and the BatchNorm after it; of neither is anything copied before."""
    weight, bias = _fused_weights(convolution, norm)
    fused = copy.deepcopy(convolution, {id(convolution.weight): weight})
    fused.bias = bias
    return fused


def _fused_weights(convolution: nn.Module, norm: nn.Module) -> tuple[nn.Parameter, nn.Parameter]:
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d | nn.SyncBatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
