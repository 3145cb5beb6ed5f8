"""What the tensors of our networks are called in other people's code: names to names, in both directions.

Ours are those of a `Pipeline`: "encoder.blocks.2.norm1.weight", "classifier.bias". Only names change, never a value, so
that what is renamed and renamed back is the same bit for bit.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from claf_engine.config import ModelConfig
from claf_engine.config.registry import library_of
from claf_engine.models.architectures import blocks_of, is_own
from claf_engine.models.library import library_model, split_classifier
from claf_engine.models.network import Pipeline

NORMALISATION = ("encoder.mean", "encoder.std")
"""Tensors of ours that no other naming has: there images are normalised before the network."""
CLASSIFIER = "classifier."
LIBRARY_PREFIX = "encoder.module."
"""What a library's own names follow, in an encoder of `models.library`."""
BLOCK = re.compile(r"encoder\.blocks\.(\d+)\.(norm|shortcut|conv\d)(.*)")


@dataclass(frozen=True)
class Naming:
    """Names of modules in one way of writing a network.

    Attributes:
        stem: the first convolution.
        norm: the BatchNorm beside it, or after the last block.
        classifier: the linear layer.
        block: a block, of its stage and its number in it, both from 0, or the stage from `first_stage`.
        batch_norm: what the BatchNorms of a block begin with; its convolutions are conv1 and so on everywhere.
        shortcut: the convolution and, numbered 0 and 1 where there are both, the BatchNorm of a shortcut.
        first_stage: number of the first stage.
        classifier_is_convolution: the linear layer is a 1x1 convolution, of weights (K, D, 1, 1).
    """

    stem: str
    norm: str
    classifier: str
    block: str
    batch_norm: str
    shortcut: str
    first_stage: int = 1
    classifier_is_convolution: bool = False


STAGES = "layer{stage}.{block}"
TORCHVISION = Naming("conv1", "bn1", "fc", STAGES, "bn", "downsample")
NAMINGS: dict[str, dict[str, Naming]] = {
    "residual": {
        "torchvision": TORCHVISION,
        "timm": TORCHVISION,
        "kuangliu": Naming("conv1", "bn1", "linear", STAGES, "bn", "shortcut"),
    },
    "preactivation": {
        "kuangliu": Naming("conv1", "bn", "linear", STAGES, "bn", "shortcut.0"),
        "timm": Naming(
            "stem.conv", "norm", "head.fc", "stages.{stage}.blocks.{block}", "norm", "downsample.conv", 0, True
        ),
    },
    "wide": {"trades": Naming("conv1", "bn1", "fc", "block{stage}.layer.{block}", "bn", "convShortcut")},
}
"""By family of networks and name of the naming. Where kuangliu's pre-activation network has no BatchNorm after its last
block, `bn` is that of fast adversarial training and of RobustBench, which have one. "trades" is the wide network of
TRADES, that most published robust weights share."""


def family_of(model: ModelConfig) -> str:
    """A key of `NAMINGS`; empty for the networks of libraries and plugins."""
    if not is_own(model):
        return ""
    if model.architecture.startswith("wrn"):
        return "wide"
    return "preactivation" if model.architecture.startswith("preact") else "residual"


def namings_of(model: ModelConfig) -> tuple[str, ...]:
    """The namings that a network can be written in, ours first."""
    library = library_of(model.architecture)
    return ("ours", *((library,) if library else NAMINGS.get(family_of(model), {})))


def foreign_names(model: ModelConfig, names: Iterable[str], naming: str) -> dict[str, str]:
    """Names of our tensors, each with its name in one of `namings_of` the model but ours.

    Args:
        model: the settings of the network.
        names: of a pipeline's tensors.
        naming: which.
    """
    if library_of(model.architecture):
        path = classifier_path(model.architecture)
        return {name: _in_library(name, path) for name in names if name not in NORMALISATION}
    chosen = NAMINGS[family_of(model)][naming]
    return {name: _renamed(name, chosen, blocks_of(model)) for name in names if name not in NORMALISATION}


def our_names(model: ModelConfig, names: Iterable[str]) -> dict[str, str]:
    """Names in any naming of a network, each with our name; what mixes two namings is understood too."""
    wanted = [name for name in names if name not in NORMALISATION]
    placed: dict[str, str] = {}
    for naming in namings_of(model)[1:]:
        placed |= {foreign: own for own, foreign in foreign_names(model, wanted, naming).items()}
    return placed


def renamed(pipeline: Pipeline, model: ModelConfig, naming: str) -> dict[str, Tensor]:
    """The tensors of a network under another naming, on the CPU, contiguous, and none a part of another."""
    own = pipeline.state_dict()
    names = {name: name for name in own} if naming == "ours" else foreign_names(model, own, naming)
    tensors = {foreign: own[name].detach().cpu().contiguous().clone() for name, foreign in names.items()}
    chosen = NAMINGS.get(family_of(model), {}).get(naming)
    if chosen is not None and chosen.classifier_is_convolution:
        weight = f"{chosen.classifier}.weight"
        tensors[weight] = tensors[weight][:, :, None, None]
    return tensors


def as_linear(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with a classifier that is a 1x1 convolution, (K, D, 1, 1), as a linear layer's (K, D)."""
    ends = {f"{naming.classifier}.weight" for kinds in NAMINGS.values() for naming in kinds.values()}
    return {
        name: tensor.flatten(1) if name in ends and tensor.dim() == 4 and tensor.shape[2:] == (1, 1) else tensor
        for name, tensor in tensors.items()
    }


def classifier_path(architecture: str) -> str:
    """Where the classifier of a library's model is, such as "fc" or "classifier.1".

    Raises:
        ConfigError: see `library_model`, or the model does not end in a linear classifier.
    """
    return split_classifier(library_model(architecture, 2, torch.Generator()), architecture).path


def _in_library(name: str, classifier: str) -> str:
    if name.startswith(CLASSIFIER):
        return f"{classifier}.{name.removeprefix(CLASSIFIER)}"
    return name.removeprefix(LIBRARY_PREFIX)


def _renamed(name: str, naming: Naming, blocks: tuple[int, ...]) -> str:
    """One of our names in another naming: encoder.blocks.2.norm1.weight is layer2.0.bn1.weight."""
    if (found := BLOCK.fullmatch(name)) is None:
        module, _, part = name.rpartition(".")
        outer = {"encoder.stem": naming.stem, "encoder.norm": naming.norm, "classifier": naming.classifier}
        return f"{outer[module]}.{part}"
    number, kind, rest = int(found[1]), found[2], found[3]
    stage = next(index for index in range(len(blocks)) if number < sum(blocks[: index + 1]))
    block = naming.block.format(stage=stage + naming.first_stage, block=number - sum(blocks[:stage]))
    inner = {"norm": naming.batch_norm, "shortcut": naming.shortcut}.get(kind, kind)
    return f"{block}.{inner}{rest}"
