"""The architectures of our own, by the names of `model.architecture`.

At `model.width` 64 each is the published network; another width scales all its channels by width / 64, but for the 16
channels that the first convolution of a wide network has whatever its widening.
"""

from collections.abc import Callable
from functools import partial

from claf_engine.config import ModelConfig
from claf_engine.config.registry import OWN_ARCHITECTURES
from claf_engine.models.preactivation import PreactivationEncoder
from claf_engine.models.residual import Bottleneck, Encoder, ResidualBlock

OwnEncoder = Encoder | PreactivationEncoder
WIDE_STEM = 16
"""Channels of the first convolution of a wide residual network, and of its first stage before widening."""
PUBLISHED_WIDTH = 64
WIDENING = 10


def own_encoder(config: ModelConfig) -> OwnEncoder:
    """The encoder of one of `OWN_ARCHITECTURES`: pixels (N, C, H, W) in [0, 1] to features (N, D)."""
    return BUILDERS[config.architecture](config)


def is_own(config: ModelConfig) -> bool:
    """Whether the encoder is one of ours, and not a library's, a plugin's or a file's."""
    return config.architecture in OWN_ARCHITECTURES


def _preactivation(config: ModelConfig) -> PreactivationEncoder:
    """PreActResNet-18 (He et al. 2016b)."""
    width = config.width
    return PreactivationEncoder(config, width, (width, 2 * width, 4 * width, 8 * width), (2, 2, 2, 2))


def _wide(config: ModelConfig, num_blocks: int) -> PreactivationEncoder:
    """WRN-d-10 of d = 6 n + 4 layers, n blocks in each of its three stages (Zagoruyko and Komodakis 2016)."""
    width = max(1, WIDENING * WIDE_STEM * config.width // PUBLISHED_WIDTH)
    return PreactivationEncoder(config, WIDE_STEM, (width, 2 * width, 4 * width), (num_blocks,) * 3)


BUILDERS: dict[str, Callable[[ModelConfig], OwnEncoder]] = {
    "resnet": Encoder,
    "resnet18": partial(Encoder, block=ResidualBlock, blocks=(2, 2, 2, 2)),
    "resnet34": partial(Encoder, block=ResidualBlock, blocks=(3, 4, 6, 3)),
    "resnet50": partial(Encoder, block=Bottleneck, blocks=(3, 4, 6, 3)),
    "preact-resnet18": _preactivation,
    "wrn-28-10": partial(_wide, num_blocks=4),
    "wrn-34-10": partial(_wide, num_blocks=5),
}
