"""Networks of ours as torchvision and timm have them: which they are, and how they are built there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from claf_engine.config import ModelConfig
from claf_engine.config.registry import ARGUMENT_MARK, DEFAULT_ARCHITECTURE, library_of
from claf_engine.evaluation.naming import family_of, namings_of
from claf_engine.models.architectures import PUBLISHED_WIDTH, blocks_of
from claf_engine.models.library import WITH_HELPERS, library_model
from claf_engine.models.registered import seeded_from
from claf_engine.terms.errors import ConfigError

LIBRARY_NAMINGS = ("torchvision", "timm")
COLOURS = 3
DIVISOR = 8
"""What timm rounds the channels of pre-activation networks to a multiple of."""
BY_BLOCKS: dict[tuple[int, ...], str] = {(2, 2, 2, 2): "resnet18", (3, 4, 6, 3): "resnet34"}
"""What the setting "resnet" is called where its blocks are those of a published network."""


@dataclass(frozen=True)
class PlainName:
    """How a library builds a network.

    Attributes:
        architecture: its name there.
        args: what the constructor is given besides the number of classes.
    """

    architecture: str
    args: Mapping[str, Any] = field(default_factory=dict)


def require_naming(model: ModelConfig, naming: str) -> None:
    """Refuse a naming that a network cannot be written in, so that whoever reads the file gets the same logits.

    Raises:
        ConfigError: there is no such network in it.
    """
    possible = namings_of(model)
    if naming not in possible:
        raise ConfigError(
            f"a network of {model.architecture} can be exported with --names {' or '.join(possible)}, not {naming}"
        )
    if naming != "ours" and model.logits != "linear":
        raise ConfigError(
            f"networks in the names of {naming} have a linear classifier, and this one {model.logits} logits; export "
            "it with --names ours"
        )
    if naming == "ours" or library_of(model.architecture):
        return
    if model.activation != "relu":
        raise ConfigError(
            f"networks in the names of {naming} have ReLU, and this one {model.activation}; export it with --names ours"
        )
    if naming in LIBRARY_NAMINGS:
        _require_library_has_it(model, naming)


def plain_name(model: ModelConfig, naming: str) -> PlainName:
    """What a library calls a network that `require_naming` lets pass; in other namings it is the setting."""
    library, _, name = model.architecture.rpartition(ARGUMENT_MARK)
    if naming not in LIBRARY_NAMINGS:
        return PlainName(model.architecture)
    if library:
        return PlainName(name, WITH_HELPERS.get(name, {}) if library == "torchvision" else {})
    gray = {} if model.num_channels == COLOURS else {"in_chans": model.num_channels}
    if family_of(model) == "preactivation":
        width = model.width
        channels = {"channels": [width, 2 * width, 4 * width, 8 * width], "stem_chs": width}
        return PlainName("resnetv2_18", gray | (channels if width != PUBLISHED_WIDTH else {}))
    return PlainName(_published(model), gray if naming == "timm" else {})


def plain_model(record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> nn.Module:
    """Build an exported network as its library has it, without a line of ours in its forward pass.

    Args:
        record: of config.json, with names of torchvision or timm.
        tensors: of model.safetensors.

    Returns:
        Images (N, C, H, W) in [0, 1] to logits (N, K), in eval mode.

    Raises:
        ConfigError: the library is not installed.
        RuntimeError: the tensors are not those of the network.
    """
    from torchvision import transforms  # here, because other namings need no torchvision

    with seeded_from(torch.Generator()):
        model = library_model(
            f"{record['names']}{ARGUMENT_MARK}{record['architecture']}",
            record["num_classes"],
            torch.Generator(),
            record["model_args"],
        )
        if record["stem"] == "cifar":
            _take_small_images(model, record["num_channels"])
    model.load_state_dict(dict(tensors))
    return nn.Sequential(transforms.Normalize(record["mean"], record["std"]), model).eval()


def _take_small_images(model: nn.Module, num_channels: int) -> None:
    """Give a ResNet of a library the stem for CIFAR, in place."""
    stem, pool = ("stem.conv", "stem.pool") if hasattr(model, "stem") else ("conv1", "maxpool")
    width = int(model.get_submodule(stem).out_channels)  # type: ignore[arg-type]
    model.set_submodule(stem, nn.Conv2d(num_channels, width, 3, 1, 1, bias=False))
    model.set_submodule(pool, nn.Identity())


def _published(model: ModelConfig) -> str:
    """The name of a residual network in libraries; empty where they have none of its blocks."""
    if model.architecture != DEFAULT_ARCHITECTURE:
        return model.architecture
    return BY_BLOCKS.get(blocks_of(model), "")


def _require_library_has_it(model: ModelConfig, naming: str) -> None:
    is_residual = family_of(model) == "residual"
    if is_residual and model.width != PUBLISHED_WIDTH:
        raise ConfigError(
            f"ResNets of {naming} have {PUBLISHED_WIDTH} channels in their first stage, and this one {model.width}; "
            "export it with --names ours or kuangliu"
        )
    if is_residual and not _published(model):
        raise ConfigError(
            f"{naming} has no ResNet with stages of {', '.join(map(str, model.blocks))} blocks; export it with --names "
            "ours or kuangliu"
        )
    if not is_residual and model.width % DIVISOR:
        raise ConfigError(
            f"timm rounds channels to multiples of {DIVISOR}, and this network has {model.width}; export it with "
            "--names ours or kuangliu"
        )
    if naming == "torchvision" and model.stem == "imagenet" and model.num_channels != COLOURS:
        raise ConfigError("ResNets of torchvision take colours, and this one gray images; export it with --names timm")
