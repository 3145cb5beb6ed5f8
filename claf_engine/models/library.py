"""Models of torchvision and timm: whole, and as encoders without their last classifier."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from claf_engine.config import ModelConfig
from claf_engine.config.registry import ARGUMENT_MARK, library_of
from claf_engine.config.suggestion import suggestion
from claf_engine.models.layers import Normalised
from claf_engine.models.registered import seeded_from
from claf_engine.models.splitting import Split, take_off
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.installation import install_line

Channels = tuple[float, ...]
NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})
ALONE = {"aux_logits": False, "init_weights": True, "transform_input": True}
WITH_HELPERS = {"googlenet": ALONE, "inception_v3": ALONE}
"""Models of torchvision that give more than logits in train mode unless told otherwise, and draw their weights then.

Their published weights expect another normalisation, which they make themselves of the usual one.
"""
HELPERS = ("aux1.", "aux2.", "AuxLogits.")
"""What the names of the classifiers begin with that only help to train these models, and that we leave out."""
IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)
"""What all published weights of torchvision expect their images to be normalised by."""


class LibraryModel(Normalised):
    """A library's model behind our normalisation: pixels in [0, 1] to features, or to logits where it is whole.

    Gray images are given to it as coloured ones. Its text representation has its name, because equal weights do not
    make equal models.

    Attributes:
        num_features: length of what it gives.
        classifier_path: where its classifier was in it, such as "fc"; empty where it is whole.
        left_out: what the names of tensors begin with that files of its weights have and it does not.
    """

    def __init__(self, config: ModelConfig, module: nn.Module, num_features: int, classifier_path: str = "") -> None:
        super().__init__(config)
        self.module = module
        self.num_features = num_features
        self.classifier_path = classifier_path
        self.name = config.architecture
        self.left_out = HELPERS if config.architecture.partition(ARGUMENT_MARK)[2] in WITH_HELPERS else ()

    def extra_repr(self) -> str:
        """Its name."""
        return self.name

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to features (N, D) or logits (N, K)."""
        normalised = self.normalised(images)
        if normalised.shape[1] == 1:
            normalised = normalised.expand(-1, 3, -1, -1)
        features: Tensor = self.module(normalised)
        return features


def is_of_a_library(config: ModelConfig) -> bool:
    """Whether the encoder is a library's."""
    return bool(library_of(config.architecture))


def library_encoder(config: ModelConfig, num_classes: int, generator: torch.Generator) -> LibraryModel:
    """Build the encoder of the settings with the library's own initialisation, drawn from a CPU generator alone.

    Raises:
        ConfigError: see `library_model`, or the model does not end in a linear classifier.
    """
    split = split_classifier(library_model(config.architecture, num_classes, generator), config.architecture)
    return LibraryModel(config, split.encoder, split.classifier.in_features, split.path)


def whole_library_model(config: ModelConfig, num_classes: int, generator: torch.Generator) -> LibraryModel:
    """The same with its classifier: pixels in [0, 1] to logits.

    Raises:
        ConfigError: see `library_model`.
    """
    return LibraryModel(config, library_model(config.architecture, num_classes, generator), num_classes)


def library_model(
    architecture: str, num_classes: int, generator: torch.Generator, options: Mapping[str, Any] = NO_OPTIONS
) -> nn.Module:
    """A model of torchvision or timm: normalised images (N, 3, H, W) to logits (N, K).

    Args:
        architecture: such as "torchvision:resnet50".
        num_classes: K.
        generator: on the CPU; all weights come from it.
        options: what else the library's constructor is given.

    Raises:
        ConfigError: the library is not installed, or has no such classifier of images.
    """
    library, _, name = architecture.partition(ARGUMENT_MARK)
    require_known(architecture)
    build = _of_torchvision if library == "torchvision" else _of_timm
    with seeded_from(generator):
        return build(name, num_classes, options)


def require_known(architecture: str) -> None:
    """Refuse a model that its library has not.

    Raises:
        ConfigError: it has none of this name, or is not installed.
    """
    library, _, name = architecture.partition(ARGUMENT_MARK)
    models = _torchvision_models() if library == "torchvision" else None
    known = _timm().list_models() if models is None else models.list_models(module=models)
    if name not in known:
        kind = "model" if models is None else "classifier"
        raise ConfigError(f"{library} has no {kind} {name!r}{suggestion(name, known)}")


def usual_normalisation(architecture: str) -> tuple[Channels, Channels]:
    """Channel means and deviations that the library's published weights of a model expect.

    Raises:
        ConfigError: timm is not installed.
    """
    library, _, name = architecture.partition(ARGUMENT_MARK)
    told = _timm().models.get_pretrained_cfg(name) if library == "timm" else None
    return (IMAGENET_MEAN, IMAGENET_STD) if told is None else (tuple(told.mean), tuple(told.std))


def split_classifier(model: nn.Module, name: str) -> Split:
    """Take the last linear layer off a library's model, in place.

    Raises:
        ConfigError: it does not end in one.
    """
    paths = {id(layer): path for path, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    of_timm = getattr(model, "get_classifier", None)
    path = next(reversed(paths.values()), None) if of_timm is None else paths.get(id(of_timm()))
    if path is None:
        raise ConfigError(f"{name} has no linear classifier to take off; choose a model that ends in a linear layer")
    return take_off(model, path)


def _of_torchvision(name: str, num_classes: int, options: Mapping[str, Any]) -> nn.Module:
    options = {**WITH_HELPERS.get(name, {}), **options}
    built: nn.Module = _torchvision_models().get_model(name, weights=None, num_classes=num_classes, **options)
    return built


def _of_timm(name: str, num_classes: int, options: Mapping[str, Any]) -> nn.Module:
    built: nn.Module = _timm().create_model(name, pretrained=False, num_classes=num_classes, **options)
    return built


def _torchvision_models() -> Any:
    try:
        from torchvision import models
    except (ImportError, RuntimeError) as error:  # RuntimeError: it was built for another torch
        raise ConfigError(f"torchvision cannot be imported ({error}); `claf-tui doctor` says what to do") from error
    return models


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ConfigError(f"timm is not installed; get it with {install_line('timm')}") from error
    return timm
