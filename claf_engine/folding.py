"""BatchNorm folded into the convolutions before it, for attacks on frozen weights.

In eval mode BatchNorm is an affine map with constants, so convolution and BatchNorm together are one convolution: the
same function up to rounding, without the passes over memory that make most of BatchNorm's cost on a CPU. The copy is
frozen and knows nothing of later changes of the weights: fold again after every update of the encoder.
"""

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from claf_engine.models import Encoder, Pipeline, ResidualBlock


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


def _fuse(convolution: nn.Module, norm: nn.Module) -> nn.Module:
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution, norm)
