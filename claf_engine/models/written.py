"""Models that a function of a user's file builds: any module from pixels in [0, 1] to logits."""

import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from claf_engine.config.registry import MODELS
from claf_engine.models.probing import ImageShape, probe_images, require_logits
from claf_engine.models.registered import seeded_from
from claf_engine.models.splitting import split_logits
from claf_engine.terms.errors import ConfigError


class WrittenModel(nn.Module):
    """A user's module: images to features where its classifier was taken off, else to logits.

    Its text representation has the hash of the file's text: equal weights do not make equal models.

    Attributes:
        num_features: length of what it gives.
        classifier_path: where its classifier was in it, such as "fc"; empty where it is whole.
        left_out: none, see `LibraryModel`.
    """

    def __init__(
        self,
        module: nn.Module,
        name: str,
        num_features: int,
        classifier_path: str = "",
        taken_off: nn.Linear | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.name = name
        self.num_features = num_features
        self.classifier_path = classifier_path
        self.left_out: tuple[str, ...] = ()
        self._taken_off = (taken_off,)  # in a tuple, so that torch does not take it for a part
        plugin = MODELS.entries[name].plugin
        self.origin = "" if plugin is None else plugin.sha256

    @property
    def taken_off(self) -> nn.Linear | None:
        """The classifier, as it was built, and not a part of this; None where it is whole."""
        return self._taken_off[0]

    @property
    def is_whole(self) -> bool:
        """Whether it gives logits, and has no encoder to train by itself."""
        return not self.classifier_path

    def extra_repr(self) -> str:
        """Its name and where it is from."""
        return f"{self.name}, {self.origin}"

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to features (N, D) or logits (N, K)."""
        with MODELS.calling(self.name):
            given: Tensor = self.module(images)
        return given


def written_model(name: str, num_classes: int, image: ImageShape, generator: torch.Generator) -> WrittenModel:
    """Call a file's function, and give what it builds with its classifier.

    Args:
        name: such as "net.py:build".
        num_classes: of the data; given to a function that takes it.
        image: what one is like, to look whether the module takes it.
        generator: on the CPU; the module's own random weights come from it.

    Raises:
        ConfigError: there is no such function, or it takes other arguments, or builds something else.
        DataError: the module does not take such images, or its logits have another shape.
    """
    if name not in MODELS.entries:
        raise ConfigError(f"{name} is not loaded; give --model {name} with the way to the file")
    with seeded_from(generator):
        with MODELS.calling(name):
            module = _called(MODELS.entries[name].value, name, num_classes)
        if not isinstance(module, nn.Module):
            raise ConfigError(f"{name} builds a {type(module).__name__}; return a torch.nn.Module")
        module = module.cpu().float()
        require_logits(module, probe_images(image), num_classes, name)
    return WrittenModel(module, name, num_classes)


def written_encoder(name: str, num_classes: int, image: ImageShape, generator: torch.Generator) -> WrittenModel:
    """The same without its classifier, where a linear layer gives its logits; else whole.

    Raises:
        ConfigError: see `written_model`.
        DataError: see `written_model`.
    """
    whole = written_model(name, num_classes, image, generator)
    with seeded_from(generator):
        split = split_logits(whole.module, probe_images(image))
    if split is None:
        return whole
    return WrittenModel(split.encoder, name, split.classifier.in_features, split.path, split.classifier)


def _called(build: Callable[..., object], name: str, num_classes: int) -> object:
    """What a function builds; it may take the number of classes, or nothing.

    Raises:
        ConfigError: it takes more.
    """
    try:
        parameters = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):
        return build()
    takes = any(parameter.name == "num_classes" for parameter in parameters)
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    needed = [
        each.name
        for each in parameters
        if each.name != "num_classes" and each.kind in plain and each.default is inspect.Parameter.empty
    ]
    if needed:
        raise ConfigError(
            f"{name} needs {', '.join(needed)}; it may take num_classes alone: give the others defaults, or write a "
            "function without them"
        )
    return build(num_classes=num_classes) if takes else build()
