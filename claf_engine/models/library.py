"""Models of torchvision and timm as encoders, without their last classifier."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from claf_engine.config import ModelConfig
from claf_engine.config.registry import ARGUMENT_MARK, library_of
from claf_engine.config.suggestion import suggestion
from claf_engine.models.layers import Normalised
from claf_engine.models.registered import seeded_from
from claf_engine.terms.errors import ConfigError

WITH_HELPERS = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}
"""Models of torchvision that give more than logits in train mode unless told otherwise, and draw their weights then."""


@dataclass(frozen=True)
class Split:
    """A model as two.

    Attributes:
        encoder: images to features (N, D).
        classifier: its last layer, features to logits.
    """

    encoder: nn.Module
    classifier: nn.Linear


class LibraryEncoder(Normalised):
    """A library's model without its classifier: pixels in [0, 1] to features.

    Gray images are given to it as coloured ones. Its text representation has the name: equal weights do not make equal
    models.
    """

    def __init__(self, config: ModelConfig, module: nn.Module, num_features: int) -> None:
        super().__init__(config)
        self.module = module
        self.num_features = num_features
        self.name = config.architecture

    def extra_repr(self) -> str:
        """Its name."""
        return self.name

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to features (N, D)."""
        normalised = self.normalised(images)
        if normalised.shape[1] == 1:
            normalised = normalised.expand(-1, 3, -1, -1)
        features: Tensor = self.module(normalised)
        return features


def is_of_a_library(config: ModelConfig) -> bool:
    """Whether the encoder is a library's."""
    return bool(library_of(config.architecture))


def library_encoder(config: ModelConfig, generator: torch.Generator) -> LibraryEncoder:
    """Build the encoder of the settings with the library's own initialisation, drawn from a CPU generator alone.

    Raises:
        ConfigError: see `library_model`, or the model does not end in a linear classifier.
    """
    with seeded_from(generator):
        model = library_model(config.architecture, num_classes=2)
    split = split_classifier(model, config.architecture)
    return LibraryEncoder(config, split.encoder, split.classifier.in_features)


def library_model(architecture: str, num_classes: int) -> nn.Module:
    """A model of torchvision or timm with random weights: normalised images (N, 3, H, W) to logits (N, K).

    Args:
        architecture: such as "torchvision:resnet50".
        num_classes: K.

    Raises:
        ConfigError: the library is not installed, or has no such classifier of images.
    """
    library, _, name = architecture.partition(ARGUMENT_MARK)
    return _of_torchvision(name, num_classes) if library == "torchvision" else _of_timm(name, num_classes)


def _of_torchvision(name: str, num_classes: int) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise ConfigError(f"torchvision has no classifier {name!r}{suggestion(name, known)}")
    options: dict[str, Any] = WITH_HELPERS.get(name, {})
    built: nn.Module = models.get_model(name, weights=None, num_classes=num_classes, **options)
    return built


def _of_timm(name: str, num_classes: int) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise ConfigError("timm is not installed; install it with `pip install 'claf-tui[timm]'`") from error
    known = timm.list_models()
    if name not in known:
        raise ConfigError(f"timm has no model {name!r}{suggestion(name, known)}")
    built: nn.Module = timm.create_model(name, pretrained=False, num_classes=num_classes)
    return built


def split_classifier(model: nn.Module, name: str) -> Split:
    """Take the last linear layer off a library's model, in place.

    Raises:
        ConfigError: it does not end in one.
    """
    of_timm = getattr(model, "get_classifier", None)
    layers = [(path, layer) for path, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    ends = [(path, layer) for path, layer in layers[-1:] if of_timm is None] or [
        (path, layer) for path, layer in layers if of_timm is not None and layer is of_timm()
    ]
    if not ends:
        raise ConfigError(f"{name} has no linear classifier to take off; choose a model that ends in a linear layer")
    path, classifier = ends[0]
    model.set_submodule(path, nn.Identity())
    return Split(model, classifier)
