"""Projection head, linear classifiers, and the network that holds them with an encoder.

Parameters of ours are initialised from an explicit generator with torch's default distributions.
"""

import copy
import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.config import ModelConfig
from claf_engine.config.sources import file_of
from claf_engine.models.architectures import OwnEncoder, is_own, own_encoder
from claf_engine.models.library import is_of_a_library, library_encoder
from claf_engine.models.registered import registered_encoder
from claf_engine.models.written import WrittenModel, written_encoder
from claf_engine.terms.errors import ConfigError

ATTACK_CLASSIFIER = "attack"
NATURAL = "natural"
ADVERSARIAL = "adversarial"
CLASSIFIERS = (ATTACK_CLASSIFIER, NATURAL, ADVERSARIAL)
"""The linear classifiers of a network: the one attacks are crafted with, and the two of linear evaluation."""


class ProjectionHead(nn.Module):
    """A two-layer perceptron onto the unit sphere, where the contrastive loss lives (paper, section 3)."""

    def __init__(self, num_features: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(num_features, hidden), nn.ReLU(), nn.Linear(hidden, dim))

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, D) to projections (N, P) of unit length, in fp32."""
        return F.normalize(self.layers(features).float(), dim=1)


class CosineClassifier(nn.Linear):
    """Scaled cosines between features and one row of weights for each class, a prototype (Pang et al. 2020).

    Args:
        num_features: D.
        num_classes: K.
        scale: of the logits.
    """

    def __init__(self, num_features: int, num_classes: int, scale: float) -> None:
        super().__init__(num_features, num_classes, bias=False)
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, D) to logits (N, K) in [-scale, scale]; features of no length have none but zeros."""
        return self.scale * F.linear(F.normalize(features, dim=1), F.normalize(self.weight, dim=1))


def new_classifier(config: ModelConfig, num_features: int, num_classes: int) -> nn.Linear:
    """A classifier of features (N, D), of the kind that the settings name."""
    if config.logits == "cosine":
        return CosineClassifier(num_features, num_classes, config.logit_scale)
    return nn.Linear(num_features, num_classes)


class Network(nn.Module):
    """Encoder, projection head and the linear classifiers that share the encoder.

    Args:
        config: of the model.
        num_classes: outputs of each classifier.
        encoder: images to features, with their number as `num_features`; by default the one of ours in the settings.
    """

    def __init__(self, config: ModelConfig, num_classes: int, encoder: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = own_encoder(config) if encoder is None else encoder
        width = int(self.encoder.num_features)  # type: ignore[arg-type]
        self.projection_head = ProjectionHead(width, config.projection_hidden, config.projection_dim)
        self.classifiers = nn.ModuleDict(
            {
                name: nn.Identity() if self.is_whole else new_classifier(config, width, num_classes)
                for name in CLASSIFIERS
            }
        )

    @property
    def is_whole(self) -> bool:
        """Whether the encoder gives logits itself, so that there are no features to learn or to fit classifiers to."""
        return isinstance(self.encoder, WrittenModel) and self.encoder.is_whole

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


def build_network(
    config: ModelConfig, num_classes: int, generator: torch.Generator, image_size: tuple[int, int] | None = None
) -> Network:
    """Build a network on the CPU, initialised from `generator` alone.

    Args:
        config: of the model.
        num_classes: outputs of each classifier.
        generator: on the CPU.
        image_size: height and width, which a model of a user's file is asked with; others do not need it.

    Raises:
        ConfigError: the encoder is a library's, a plugin's or a file's, and cannot be had or is none.
        DataError: a file's model does not take such images, or gives other logits.
    """
    encoder = None if is_own(config) else _foreign_encoder(config, num_classes, generator, image_size)
    with torch.device("meta"):
        network = Network(config, num_classes, encoder)
    ours = [network.projection_head, network.classifiers]
    if isinstance(network.encoder, OwnEncoder):
        ours.insert(0, network.encoder)
    for part in ours:
        part.to_empty(device="cpu")
    if isinstance(network.encoder, OwnEncoder):
        network.encoder.normalise_by(config)
    for part in ours:
        for module in part.modules():
            _initialise(module, generator)
    if isinstance(encoder, WrittenModel) and encoder.taken_off is not None:
        start_classifiers(network, encoder.taken_off.state_dict())
    return network


def start_classifiers(network: Network, tensors: Mapping[str, Tensor]) -> None:
    """Give every linear classifier a weight (K, D) and a bias (K,), which is zero where there is none, in place."""
    for layer in network.classifiers.values():
        assert isinstance(layer, nn.Linear)
        layer.load_state_dict({"bias": torch.zeros_like(layer.bias), **tensors})


def _foreign_encoder(
    config: ModelConfig, num_classes: int, generator: torch.Generator, image_size: tuple[int, int] | None
) -> nn.Module:
    """The encoder of a library, a file or a plugin, initialised from `generator` alone."""
    if is_of_a_library(config):
        return library_encoder(config, num_classes, generator)
    if file_of(config.architecture):
        if image_size is None:
            raise ConfigError(f"{config.architecture} cannot be built where the size of the images is not known")
        return written_encoder(config.architecture, num_classes, (len(config.mean), *image_size), generator)
    return registered_encoder(config, generator)


def reset_classifier(network: Network, classifier: str, generator: torch.Generator) -> None:
    """Give one linear classifier fresh weights from a CPU generator, in place."""
    layer = network.classifiers[classifier]
    fresh = copy.deepcopy(layer).cpu()
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
