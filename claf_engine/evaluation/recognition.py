"""Which network weights are of, by their names and shapes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from claf_engine.config import ModelConfig
from claf_engine.config.registry import DEFAULT_ARCHITECTURE, MODELS
from claf_engine.evaluation.naming import NAMINGS
from claf_engine.models.architectures import BLOCKS, wide_channels
from claf_engine.terms.errors import CheckpointError, ConfigError
from claf_engine.training.weights_file import listed

BLOCK = re.compile(r"(?:layer(\d+)\.|block(\d+)\.layer\.|stages\.(\d+)\.blocks\.)(\d+)\.")
IMAGENET_KERNEL = 7
STEMS = {"cifar": "CIFAR", "imagenet": "ImageNet"}
PUBLISHED = {
    ("residual", False): ("resnet18", "resnet34"),
    ("residual", True): ("resnet50",),
    ("preactivation", False): ("preact-resnet18",),
    ("wide", False): ("wrn-28-10", "wrn-34-10"),
}
"""Architectures of ours by family and whether their blocks have three convolutions."""
MAX_WIDTH = 4096


@dataclass(frozen=True)
class Ends:
    """The first and the last layer of a network of the usual names.

    Attributes:
        family: a key of `NAMINGS`.
        stem: weights (C_out, C, k, k) of its first convolution.
        num_classes: outputs of its classifier.
    """

    family: str
    stem: Tensor
    num_classes: int


def ends_of(path: Path, arch: str | None, tensors: Mapping[str, Tensor]) -> Ends:
    """Find the first convolution and the classifier of a network of any of our families.

    Raises:
        CheckpointError: there is no such convolution or classifier.
    """
    family = _family(tensors)
    namings = NAMINGS[family].values()
    found: list[Tensor] = []
    for names, dims in (
        (dict.fromkeys(f"{naming.stem}.weight" for naming in namings), 4),
        (dict.fromkeys(f"{naming.classifier}.weight" for naming in reversed(namings)), 2),
    ):
        first = next((tensors[name] for name in names if name in tensors), None)
        if first is None or first.dim() != dims:
            raise CheckpointError(
                f"{path} is no {arch or 'network'} with the usual names: it has no {' or '.join(names)}, but "
                f"{listed(list(tensors))}"
            )
        found.append(first)
    return Ends(family, found[0], max(1, len(found[1])))


def recognise(path: Path, arch: str | None, tensors: Mapping[str, Tensor], ends: Ends) -> dict[str, Any]:
    """The settings of a network of ours that such tensors are of.

    Args:
        path: for the messages.
        arch: one of ours, or None, which is chosen by the names and shapes then.
        tensors: by their names in the file, without wrappers.
        ends: see `ends_of`.

    Raises:
        CheckpointError: there is none.
    """
    blocks = _blocks(tensors)
    chosen = arch or _architecture(path, ends.family, blocks, tensors)
    kernel = ends.stem.shape[2]
    settings: dict[str, Any] = {
        "architecture": chosen,
        "stem": "imagenet" if kernel == IMAGENET_KERNEL else "cifar",
        "width": _width(path, ends, tensors),
    }
    return settings | ({"blocks": blocks} if chosen == DEFAULT_ARCHITECTURE else {})


def model_of(path: Path, settings: Mapping[str, Any]) -> ModelConfig:
    """The settings of a model, checked.

    Raises:
        CheckpointError: it has more stages than any of ours, or channels that are neither gray nor colours.
    """
    try:
        return ModelConfig.model_validate(settings)
    except ValidationError as error:
        told = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise CheckpointError(f"{path} is of no network that can be taken over: {told}") from error


def require_arch(arch: str) -> str:
    """Give the name of an architecture back, for a check of an option.

    Raises:
        ConfigError: there is none of this name.
    """
    try:
        return ModelConfig(architecture=arch).architecture
    except ValidationError as error:
        told = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"--arch: {told or MODELS.complaint(arch)}") from error


def _family(tensors: Mapping[str, Tensor]) -> str:
    if any(name.startswith("block1.layer.") for name in tensors):
        return "wide"
    if any(name.startswith("stages.0.blocks.") for name in tensors):
        return "preactivation"
    if "bn1.weight" not in tensors and "layer1.0.bn1.weight" in tensors and "conv1.weight" in tensors:
        return "residual" if "layer1.0.conv1.weight" not in tensors or _bn1_follows(tensors) else "preactivation"
    return "residual"


def _bn1_follows(tensors: Mapping[str, Tensor]) -> bool:
    """Whether shortcuts have a BatchNorm, as those of residual networks that lack another part."""
    return any(name.endswith(("shortcut.1.weight", "downsample.1.weight")) for name in tensors)


def _blocks(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Blocks in each stage."""
    counts: dict[int, int] = {}
    for name in tensors:
        if found := BLOCK.match(name):
            stage = next(int(number) for number in found.groups()[:3] if number is not None)
            counts[stage] = max(counts.get(stage, 0), int(found[4]) + 1)
    return tuple(counts[stage] for stage in sorted(counts))


def _architecture(path: Path, family: str, blocks: tuple[int, ...], tensors: Mapping[str, Tensor]) -> str:
    has_three = any(name.endswith("layer1.0.conv3.weight") for name in tensors)
    known = PUBLISHED.get((family, has_three), ())
    for name in known:
        if BLOCKS[name] == blocks:
            return name
    if family == "residual" and not has_three:
        return DEFAULT_ARCHITECTURE
    told = ", ".join(map(str, blocks)) or "no"
    raise CheckpointError(
        f"{path} has stages of {told} blocks, which {' and '.join(known) or 'none of ours'} have not; if a library has "
        "this network, name it, such as --arch torchvision:resnet101"
    )


def _width(path: Path, ends: Ends, tensors: Mapping[str, Tensor]) -> int:
    """`model.width` of a network, by its stem or, where that has always 16 channels, by its first block."""
    first = tensors.get("block1.layer.0.conv1.weight")
    if ends.family != "wide" or first is None:
        return max(1, len(ends.stem))
    channels = len(first)
    for width in range(1, MAX_WIDTH):
        if wide_channels(width) == channels:
            return width
    raise CheckpointError(
        f"the first stage of {path} has {channels} channels, which no model.width gives wide networks here: a width of "
        "64 gives 160, and others as many as that times width / 64, rounded down"
    )
