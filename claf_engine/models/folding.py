"""BatchNorm folded into the convolutions before it, for attacks on frozen weights.

In eval mode BatchNorm is an affine map with constants, so convolution and BatchNorm together are one convolution: the
same function up to rounding, without the passes over memory that make most of BatchNorm's cost on a CPU. The copy is
frozen and knows nothing of later changes of the weights: `refold` it after every update of the encoder.
"""

import copy
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights

from claf_engine.models.network import Encoder, Pipeline, ResidualBlock


def fold_encoder(encoder: Encoder) -> Encoder:
    """A frozen eval-mode copy of an encoder that computes the same features without BatchNorm."""
    folded = copy.deepcopy(encoder).eval().requires_grad_(False)
    folded.stem, folded.norm = _fuse(folded.stem, folded.norm), nn.Identity()
    for block in folded.blocks:
        assert isinstance(block, ResidualBlock)
        block.conv1, block.norm1 = _fuse(block.conv1, block.norm1), nn.Identity()
        block.conv2, block.norm2 = _fuse(block.conv2, block.norm2), nn.Identity()
        if isinstance(block.shortcut, nn.Sequential):
            block.shortcut = _fuse(*block.shortcut)
    return folded.requires_grad_(False)


def fold(model: nn.Module) -> nn.Module:
    """The model to attack in place of `model`: folded where it is a pipeline of ours, else `model` itself."""
    if isinstance(model, Pipeline) and isinstance(model.encoder, Encoder):
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
    for (convolution, _), (source, norm) in zip(_layers(folded.encoder), _layers(model.encoder), strict=True):
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            source.weight, source.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        assert convolution.bias is not None
        convolution.weight.copy_(weight)
        convolution.bias.copy_(bias)


def _layers(encoder: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.Module]]:
    """Each convolution of an encoder, folded or not, with what comes after it: BatchNorm or nothing."""
    assert isinstance(encoder, Encoder)
    pairs = [(encoder.stem, encoder.norm)]
    for block in encoder.blocks:
        assert isinstance(block, ResidualBlock)
        pairs += [(block.conv1, block.norm1), (block.conv2, block.norm2)]
        if isinstance(block.shortcut, nn.Sequential):
            pairs.append((block.shortcut[0], block.shortcut[1]))
        elif isinstance(block.shortcut, nn.Conv2d):
            pairs.append((block.shortcut, nn.Identity()))
    for convolution, norm in pairs:
        assert isinstance(convolution, nn.Conv2d)
        yield convolution, norm


def _fuse(convolution: nn.Module, norm: nn.Module) -> nn.Module:
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution, norm)
