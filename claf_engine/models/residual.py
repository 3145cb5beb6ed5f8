"""Residual networks of He et al. (2016): BatchNorm and activation follow each convolution, a sum each block."""

from typing import ClassVar

from torch import Tensor, nn

from claf_engine.config import ModelConfig
from claf_engine.models.layers import ACTIVATIONS, Normalised, Pointwise, averaged, stem_of
from claf_engine.models.segments import Segment, through

Pairs = tuple[tuple[str, str], ...]
"""Names of convolutions of a module, each with that of the BatchNorm which alone reads what it gives."""


class Shortcut(nn.Sequential):
    """A 1x1 convolution and BatchNorm, where a block changes channels or size."""

    FOLDABLE: ClassVar[Pairs] = (("0", "1"),)

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__(Pointwise(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))


def shortcut_of(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    """What a block adds to its result: its input, or a `Shortcut` where that does not fit."""
    is_same = stride == 1 and channels_in == channels_out
    return nn.Identity() if is_same else Shortcut(channels_in, channels_out, stride)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm and a shortcut."""

    FOLDABLE: ClassVar[Pairs] = (("conv1", "norm1"), ("conv2", "norm2"))
    expansion = 1

    def __init__(self, channels_in: int, channels: int, stride: int, activation: str = "relu") -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.conv1: nn.Module = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1: nn.Module = nn.BatchNorm2d(channels)
        self.conv2: nn.Module = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2: nn.Module = nn.BatchNorm2d(channels)
        self.shortcut = shortcut_of(channels_in, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C, H / stride, W / stride)."""
        hidden = self.activation(self.norm1(self.conv1(x)))
        return self.activation(self.norm2(self.conv2(hidden)).add_(self.shortcut(x)))


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution with BatchNorm and a shortcut.

    The stride is that the 3x3 one's, as in torchvision and most published weights, not the first one's as in the paper.
    """

    FOLDABLE: ClassVar[Pairs] = (("conv1", "norm1"), ("conv2", "norm2"), ("conv3", "norm3"))
    expansion = 4

    def __init__(self, channels_in: int, channels: int, stride: int, activation: str = "relu") -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.conv1: nn.Module = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.norm1: nn.Module = nn.BatchNorm2d(channels)
        self.conv2: nn.Module = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.norm2: nn.Module = nn.BatchNorm2d(channels)
        self.conv3: nn.Module = nn.Conv2d(channels, self.expansion * channels, 1, bias=False)
        self.norm3: nn.Module = nn.BatchNorm2d(self.expansion * channels)
        self.shortcut = shortcut_of(channels_in, self.expansion * channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, 4 C, H / stride, W / stride)."""
        hidden = self.activation(self.norm1(self.conv1(x)))
        hidden = self.activation(self.norm2(self.conv2(hidden)))
        return self.activation(self.norm3(self.conv3(hidden)).add_(self.shortcut(x)))


Block = type[ResidualBlock] | type[Bottleneck]


class Encoder(Normalised):
    """Normalisation and a residual network: pixels in [0, 1] to average-pooled features.

    Args:
        config: width is that of the first stage; each later stage doubles it.
        block: what the stages are made of.
        blocks: how many in each stage; None is what the settings say.
    """

    FOLDABLE: ClassVar[Pairs] = (("stem", "norm"),)

    def __init__(
        self, config: ModelConfig, block: Block = ResidualBlock, blocks: tuple[int, ...] | None = None
    ) -> None:
        super().__init__(config)
        self.activation = ACTIVATIONS[config.activation]
        channels = config.width
        stem, self.pool = stem_of(config, channels)
        self.stem: nn.Module = stem
        self.norm: nn.Module = nn.BatchNorm2d(channels)
        layers: list[nn.Module] = []
        for stage, num_blocks in enumerate(config.blocks if blocks is None else blocks):
            inner = config.width * 2**stage
            for number in range(num_blocks):
                stride = 2 if stage and number == 0 else 1
                layers.append(block(channels, inner, stride, config.activation))
                channels = block.expansion * inner
        self.blocks = nn.Sequential(*layers)
        self.num_features = channels

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to features (N, D)."""
        return through(self.segments(), images)

    def segments(self) -> tuple[Segment, ...]:
        """The forward pass in parts (see `segments_of`)."""
        return (self.entrance, *self.blocks, averaged)

    def entrance(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to what the first block reads."""
        entered: Tensor = self.pool(self.activation(self.norm(self.stem(self.normalised(images)))))
        return entered
