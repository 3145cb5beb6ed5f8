"""Encoder, projection head, linear classifiers, and the network that holds them.

The residual network is He et al. (2016) with the CIFAR stem (one 3x3 convolution of stride 1, no pooling), as in the
paper's section 4.1. Parameters are initialised from an explicit generator with torch's default distributions.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.config import ModelConfig
from claf_engine.config.registry import DEFAULT_ARCHITECTURE
from claf_engine.models.registered import registered_encoder

ATTACK_CLASSIFIER = "attack"
NATURAL = "natural"
ADVERSARIAL = "adversarial"
CLASSIFIERS = (ATTACK_CLASSIFIER, NATURAL, ADVERSARIAL)
"""The linear classifiers of a network: the one attacks are crafted with, and the two of linear evaluation."""

SOFTPLUS_BETA = 10.0
"""Sharpness of softplus, as in smooth adversarial training (Xie et al. 2020): nearer to ReLU than the usual 1."""
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    # In place: what a convolution or BatchNorm gives is needed by nobody else, and its memory need not be kept.
    "relu": partial(F.relu, inplace=True),
    "silu": F.silu,
    "softplus": partial(F.softplus, beta=SOFTPLUS_BETA),
}


REGISTER = 8
"""Values of fp32 in a register of AVX2."""


class Pointwise(nn.Conv2d):
    """A 1x1 convolution without padding that takes every stride-th pixel first, where the channels are few.

    The result is the same. But for the gradient by its weights torch calls oneDNN, whose kernel for AVX2 writes past
    its memory when the images lie in channels_last and have fewer channels than a register holds (oneDNN issue 6035):
    it crashes, never ends, or is wrong without a word.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        if self.in_channels >= REGISTER:
            return super().forward(input)
        rows, columns = self.stride
        return F.conv2d(input[:, :, ::rows, ::columns], self.weight, self.bias)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm and a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, activation: str = "relu") -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.conv1: nn.Module = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1: nn.Module = nn.BatchNorm2d(channels_out)
        self.conv2: nn.Module = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2: nn.Module = nn.BatchNorm2d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                Pointwise(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        hidden = self.activation(self.norm1(self.conv1(x)))
        return self.activation(self.norm2(self.conv2(hidden)).add_(self.shortcut(x)))


class Encoder(nn.Module):
    """Normalisation and a CIFAR-stem ResNet: pixels in [0, 1] to average-pooled features.

    Normalising inside the network keeps every attack in pixel space.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(config.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(config.std).view(1, -1, 1, 1))
        self.activation = ACTIVATIONS[config.activation]
        channels = config.width
        self.stem: nn.Module = nn.Conv2d(config.num_channels, channels, 3, 1, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(channels)
        blocks: list[nn.Module] = []
        for stage, num_blocks in enumerate(config.blocks):
            channels_out = config.width * 2**stage
            for block in range(num_blocks):
                stride = 2 if stage and block == 0 else 1
                blocks.append(ResidualBlock(channels, channels_out, stride, config.activation))
                channels = channels_out
        self.blocks = nn.Sequential(*blocks)
        self.num_features = channels

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to features (N, D)."""
        hidden = self.activation(self.norm(self.stem((images - self.mean) / self.std)))
        features: Tensor = self.blocks(hidden).mean((2, 3))
        return features


class ProjectionHead(nn.Module):
    """A two-layer perceptron onto the unit sphere, where the contrastive loss lives (paper, section 3)."""

    def __init__(self, num_features: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(num_features, hidden), nn.ReLU(), nn.Linear(hidden, dim))

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, D) to projections (N, P) of unit length, in fp32."""
        return F.normalize(self.layers(features).float(), dim=1)


class Network(nn.Module):
    """Encoder, projection head and the linear classifiers that share the encoder.

    Args:
        config: of the model.
        num_classes: outputs of each classifier.
        encoder: images to features, with their number as `num_features`; by default the residual network.
    """

    def __init__(self, config: ModelConfig, num_classes: int, encoder: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = Encoder(config) if encoder is None else encoder
        width = int(self.encoder.num_features)  # type: ignore[arg-type]
        self.projection_head = ProjectionHead(width, config.projection_hidden, config.projection_dim)
        self.classifiers = nn.ModuleDict({name: nn.Linear(width, num_classes) for name in CLASSIFIERS})

    def project(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to projections z = g(f(x)), shape (N, P), unit length."""
        projections: Tensor = self.projection_head(self.encoder(images))
        return projections

    def with_classifier(self, classifier: str) -> "Pipeline":
        """Encoder and one classifier as a single module from images to logits, as attacks want it."""
        return Pipeline(self.encoder, self.classifiers[classifier])


class Pipeline(nn.Module):
    """Encoder and linear classifier as one: what is attacked and what is evaluated."""

    def __init__(self, encoder: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to fp32 logits (N, K)."""
        logits: Tensor = self.classifier(self.encoder(images))
        return logits.float()


def build_network(config: ModelConfig, num_classes: int, generator: torch.Generator) -> Network:
    """Build a network on the CPU, initialised from `generator` alone.

    Raises:
        ConfigError: the encoder is a plugin's, and is none.
    """
    is_ours = config.architecture == DEFAULT_ARCHITECTURE
    encoder = None if is_ours else registered_encoder(config, generator)
    with torch.device("meta"):
        network = Network(config, num_classes, encoder)
    ours = [network.projection_head, network.classifiers]
    if isinstance(network.encoder, Encoder):
        ours.insert(0, network.encoder)
    for part in ours:
        part.to_empty(device="cpu")
    if isinstance(network.encoder, Encoder):
        network.encoder.mean.copy_(torch.tensor(config.mean).view(1, -1, 1, 1))
        network.encoder.std.copy_(torch.tensor(config.std).view(1, -1, 1, 1))
    for part in ours:
        for module in part.modules():
            _initialise(module, generator)
    return network


def reset_classifier(network: Network, classifier: str, generator: torch.Generator) -> None:
    """Give one linear classifier fresh weights from a CPU generator, in place."""
    layer = network.classifiers[classifier]
    fresh = nn.Linear(layer.in_features, layer.out_features, device="meta").to_empty(device="cpu")  # type: ignore[arg-type]
    _initialise(fresh, generator)
    layer.load_state_dict(fresh.state_dict())


@torch.no_grad()
def _initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Torch's default distributions for convolutions, linear layers and BatchNorm, from an explicit generator."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        fan_in = module.weight[0].numel()
        bound = 1 / math.sqrt(fan_in)
        module.weight.uniform_(-bound, bound, generator=generator)
        if module.bias is not None:
            module.bias.uniform_(-bound, bound, generator=generator)
    elif isinstance(module, nn.BatchNorm2d):
        module.reset_running_stats()
        module.reset_parameters()
