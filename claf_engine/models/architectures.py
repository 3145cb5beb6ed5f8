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
BLOCKS: dict[str, tuple[int, ...]] = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "preact-resnet18": (2, 2, 2, 2),
    "wrn-28-10": (4, 4, 4),
    "wrn-34-10": (5, 5, 5),
}
"""Blocks in each stage of the published networks; those of "resnet" are a setting."""


def own_encoder(config: ModelConfig) -> OwnEncoder:
    """The encoder of one of `OWN_ARCHITECTURES`: pixels (N, C, H, W) in [0, 1] to features (N, D)."""
    return BUILDERS[config.architecture](config)


def is_own(config: ModelConfig) -> bool:
    """Whether the encoder is one of ours, and not a library's, a plugin's or a file's."""
    return config.architecture in OWN_ARCHITECTURES


def blocks_of(config: ModelConfig) -> tuple[int, ...]:
    """Blocks in each stage of one of `OWN_ARCHITECTURES`."""
    return BLOCKS.get(config.architecture, config.blocks)


def wide_channels(width: int) -> int:
    """Channels of the first stage of a wide network at `model.width`."""
    return max(1, WIDENING * WIDE_STEM * width // PUBLISHED_WIDTH)


def _preactivation(config: ModelConfig) -> PreactivationEncoder:
    """PreActResNet-18 (He et al. 2016b)."""
    width = config.width
    return PreactivationEncoder(config, width, (width, 2 * width, 4 * width, 8 * width), blocks_of(config))


def _wide(config: ModelConfig) -> PreactivationEncoder:
    """WRN-d-10 of d = 6 n + 4 layers, n blocks in each of its three stages (Zagoruyko and Komodakis 2016)."""
    width = wide_channels(config.width)
    return PreactivationEncoder(config, WIDE_STEM, (width, 2 * width, 4 * width), blocks_of(config))


BUILDERS: dict[str, Callable[[ModelConfig], OwnEncoder]] = {
    "resnet": Encoder,
    "resnet18": partial(Encoder, block=ResidualBlock, blocks=BLOCKS["resnet18"]),
    "resnet34": partial(Encoder, block=ResidualBlock, blocks=BLOCKS["resnet34"]),
    "resnet50": partial(Encoder, block=Bottleneck, blocks=BLOCKS["resnet50"]),
    "preact-resnet18": _preactivation,
    "wrn-28-10": _wide,
    "wrn-34-10": _wide,
}
