"""Residual networks with BatchNorm and activation before each convolution: He et al. (2016b), and the wide ones.

A block adds to its own input, which nothing has normalised, so a last BatchNorm and activation follow the last block.
"""

from typing import ClassVar

from torch import Tensor, nn

from claf_engine.config import ModelConfig
from claf_engine.models.layers import ACTIVATIONS, Normalised, Pointwise, averaged, stem_of
from claf_engine.models.residual import Pairs
from claf_engine.models.segments import Segment, through


class PreactivationBlock(nn.Module):
    """Two 3x3 convolutions, each after BatchNorm and activation, and a shortcut.

    Where channels or size change, the shortcut is a 1x1 convolution of the activated input (He et al. 2016b, section
    4.1; Zagoruyko and Komodakis 2016).
    """

    # The other BatchNorm reads a sum, which no convolution gives.
    FOLDABLE: ClassVar[Pairs] = (("conv1", "norm2"),)

    def __init__(self, channels_in: int, channels_out: int, stride: int, activation: str = "relu") -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.norm1: nn.Module = nn.BatchNorm2d(channels_in)
        self.conv1: nn.Module = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm2: nn.Module = nn.BatchNorm2d(channels_out)
        self.conv2: nn.Module = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.shortcut: nn.Module | None = None
        if stride != 1 or channels_in != channels_out:
            self.shortcut = Pointwise(channels_in, channels_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        active = self.activation(self.norm1(x))
        hidden: Tensor = self.conv2(self.activation(self.norm2(self.conv1(active))))
        return hidden.add_(x if self.shortcut is None else self.shortcut(active))


class PreactivationEncoder(Normalised):
    """Normalisation and a pre-activation residual network: pixels in [0, 1] to average-pooled features.

    Args:
        config: stem and activation.
        stem_channels: of the first convolution.
        channels: of each stage; every stage but the first halves the size.
        blocks: how many in each stage.
    """

    def __init__(
        self, config: ModelConfig, stem_channels: int, channels: tuple[int, ...], blocks: tuple[int, ...]
    ) -> None:
        super().__init__(config)
        self.activation = ACTIVATIONS[config.activation]
        self.stem, self.pool = stem_of(config, stem_channels)
        layers: list[nn.Module] = []
        before = stem_channels
        for stage, (width, num_blocks) in enumerate(zip(channels, blocks, strict=True)):
            for number in range(num_blocks):
                stride = 2 if stage and number == 0 else 1
                layers.append(PreactivationBlock(before, width, stride, config.activation))
                before = width
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(before)
        self.num_features = before

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to features (N, D)."""
        return through(self.segments(), images)

    def segments(self) -> tuple[Segment, ...]:
        """The forward pass in parts (see `segments_of`)."""
        return (self.entrance, *self.blocks, self.leaving)

    def entrance(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to what the first block reads."""
        entered: Tensor = self.pool(self.stem(self.normalised(images)))
        return entered

    def leaving(self, hidden: Tensor) -> Tensor:
        """Map what the last block gives to features (N, D)."""
        return averaged(self.activation(self.norm(hidden)))
