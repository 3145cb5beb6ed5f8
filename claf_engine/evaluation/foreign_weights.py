"""Weights of other people's networks, mapped onto ours by name and shape.

The names are those of `naming`: torchvision's and timm's, which agree for ResNets, kuangliu's, which most published
CIFAR models have, and those of TRADES' wide network, which most robust ones have. A name that is not understood is an
error: weights that are left out silently make another network, with another accuracy.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from claf_engine.config import ModelConfig
from claf_engine.config.registry import MODELS, library_of
from claf_engine.evaluation.foreign_files import NORMALISATION, OURS, Foreign, is_ours, read_foreign, wanted_name
from claf_engine.evaluation.naming import NORMALISATION as OWN_NORMALISATION
from claf_engine.evaluation.naming import as_linear, family_of, our_names
from claf_engine.evaluation.recognition import STEMS, ends_of, model_of, recognise
from claf_engine.models.architectures import is_own
from claf_engine.models.network import CLASSIFIERS, NATURAL, Network, build_network
from claf_engine.terms.errors import CheckpointError, ConfigError
from claf_engine.training.weights_file import COUNTER, is_broken, listed, shape_text

__all__ = ["Converted", "Foreign", "convert", "read_foreign", "require_unit_scale"]

PLAIN = {"residual": ("resnet18", "resnet34", "resnet50"), "preactivation": ("resnetv2_18",)}
"""Networks of timm that are ours too."""
COLOURS = 3
MAX_STD = 10.0
"""A deviation above this is meant for pixels in [0, 255], whose deviation is about 60."""
BEFORE_OR_AFTER = (
    "the names do not tell whether the shortcut of a block takes its input after BatchNorm and activation, as here (He "
    "et al. 2016b, kuangliu), or before them, as in RobustBench's PreActBlock, whose weights give other logits here: "
    "compare the natural accuracy with the published one"
)


@dataclass(frozen=True)
class Converted:
    """Weights by our names.

    Attributes:
        model: architecture, width, blocks and, where the file carries one, normalisation.
        num_classes: outputs of the classifier.
        tensors: of the encoder and the natural classifier, fp32.
        has_normalisation: whether `model` has it from the file.
        notices: a sentence for each thing that was recognised, changed or left aside.
    """

    model: ModelConfig
    num_classes: int
    tensors: Mapping[str, Tensor]
    has_normalisation: bool
    notices: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    """How a file of weights is to be understood.

    Attributes:
        model: what it is of.
        num_classes: outputs of its classifier.
        tensors: by their names in the file, without wrappers and normalisation.
        names: those that are understood, each with the name of a pipeline's tensor.
        has_normalisation: whether `model` has it from the file.
        left_aside: what is no part of the network.
        notices: what is not certain.
    """

    model: ModelConfig
    num_classes: int
    tensors: Mapping[str, Tensor]
    names: Mapping[str, str]
    has_normalisation: bool
    left_aside: tuple[str, ...]
    notices: tuple[str, ...] = ()


def convert(foreign: Foreign, arch: str | None, path: Path) -> Converted:
    """Map weights onto our network by name and shape.

    Args:
        foreign: the weights.
        arch: an architecture of `ModelConfig`; None is what config.json says, or what the names and shapes tell. The
            width follows from the weights.
        path: for the messages.

    Raises:
        CheckpointError: a name is not understood or understood twice, a tensor is missing, of another shape or not
            finite, or the normalisation is none.
        ConfigError: the normalisation is for pixels in [0, 255], or a library has no such model.
    """
    told = foreign.told
    arch = arch or (told.model.architecture if told.model else _timm_architecture(told.architecture))
    if told.model is not None and arch != told.model.architecture:
        raise ConfigError(f"--arch is {arch}, but config.json says {told.model.architecture}; leave it out")
    if is_ours(foreign.tensors):
        plan = _plan_ours(foreign, path)
    elif arch is not None and arch in MODELS.entries:
        raise ConfigError(
            f"{path} says nothing of {arch}, whose names only its own code knows; measure it with `claf-tui eval "
            f"--model {arch} --weights {path}`"
        )
    elif arch is not None and library_of(arch):
        plan = _plan_library(foreign, arch, path)
    else:
        plan = _plan_by_names(foreign, arch, path)
    return _carried_out(plan, path, told.image_size)


def _plan_by_names(foreign: Foreign, arch: str | None, path: Path) -> _Plan:
    """A network of one of our families, under names of others."""
    tensors, told = dict(foreign.tensors), foreign.told.model
    normalisation = _take_normalisation(path, tensors)
    tensors = as_linear(tensors)
    ends = ends_of(path, arch, tensors)
    settings = told.model_dump() if told else recognise(path, arch, tensors, ends)
    model = model_of(path, settings | _normalisation(foreign, normalisation, ends.stem.shape[1]))
    notices = [] if arch else [_recognised(model)]
    notices += [BEFORE_OR_AFTER] * (family_of(model) == "preactivation" and told is None)
    names = our_names(model, _wanted(model, ends.num_classes, None))
    aside = foreign.left_aside
    return _Plan(model, ends.num_classes, tensors, names, bool(normalisation), aside, tuple(notices))


def _plan_library(foreign: Foreign, arch: str, path: Path) -> _Plan:
    """A library's own network, whose names are taken as they are."""
    tensors = dict(foreign.raw)
    normalisation = _take_normalisation(path, tensors)
    model = model_of(path, {"architecture": arch, **_normalisation(foreign, normalisation, COLOURS)})
    names = our_names(model, _wanted(model, 2, None))
    tensors = {wanted_name(name, names): tensor for name, tensor in tensors.items()}
    weight = next((tensor for name, tensor in tensors.items() if names.get(name) == "classifier.weight"), None)
    num_classes = len(weight) if weight is not None and weight.dim() else 1
    return _Plan(model, max(1, num_classes), tensors, names, bool(normalisation), foreign.left_aside)


def _plan_ours(foreign: Foreign, path: Path) -> _Plan:
    """A network of ours as `checkpoint export` or the browser wrote it; of its classifiers the one that is meant."""
    model, meant = foreign.told.model, foreign.told.classifier or NATURAL
    if model is None:
        raise CheckpointError(f"{path} holds a network of claf-tui, but no config.json says which; export it anew")
    own = f"{OURS}{meant}."
    tensors = {
        name: tensor
        for name, tensor in foreign.tensors.items()
        if name.startswith(("encoder.", own)) and name not in OWN_NORMALISATION
    }
    is_whole = not any(name.startswith(OURS) for name in foreign.tensors)
    if meant not in CLASSIFIERS or not (is_whole or f"{own}weight" in tensors):
        raise CheckpointError(f"{path} has no classifier {meant!r}, which it says that it is about; export it anew")
    names = {name: name.replace(own, "classifier.", 1) for name in tensors}
    rest = (f"{name}.*" for name in ("projection_head", *(OURS + each for each in CLASSIFIERS if each != meant)))
    num_classes = len(foreign.told.class_names) if is_whole else max(1, len(tensors[f"{own}weight"]))
    return _Plan(model, num_classes, tensors, names, has_normalisation=True, left_aside=(*foreign.left_aside, *rest))


def _carried_out(plan: _Plan, path: Path, image_size: tuple[int, int] | None) -> Converted:
    """The weights by our names, once all of them fit."""
    tensors = plan.tensors
    wanted = {_in_network(name): tensor for name, tensor in _wanted(plan.model, plan.num_classes, image_size).items()}
    placed = {name: _in_network(plan.names[name]) if name in plan.names else None for name in tensors}
    _require_fit(path, plan.model, tensors, placed, wanted)
    converted = {target: tensors[name] for name, target in placed.items() if target is not None}
    counters = [name for name in wanted if name.endswith(COUNTER) and name not in converted]
    notices = list(plan.notices)
    if plan.left_aside:
        notices.append(f"left aside, because it is no part of the network: {listed(plan.left_aside)}")
    other_types = {str(tensor.dtype).removeprefix("torch.") for tensor in converted.values() if _is_other(tensor)}
    if other_types:
        notices.append(f"converted weights from {listed(sorted(other_types))} to float32")
    ready = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in converted.items()}
    ready |= {name: torch.zeros((), dtype=torch.int64) for name in counters}
    return Converted(plan.model, plan.num_classes, ready, plan.has_normalisation, tuple(notices))


def _in_network(name: str) -> str:
    """A name of a pipeline's tensor as it is in a network whose natural classifier it is."""
    return name.replace("classifier.", f"classifiers.{NATURAL}.", 1) if name.startswith("classifier.") else name


def _timm_architecture(name: str) -> str | None:
    """The architecture that a config.json of timm means; None where it is ours too, and tells itself."""
    return None if not name or any(name in plain for plain in PLAIN.values()) else f"timm:{name}"


def _recognised(model: ModelConfig) -> str:
    stages = f" of {', '.join(map(str, model.blocks))} blocks" * (model.architecture == "resnet")
    return (
        f"recognised by names and shapes as {model.architecture}{stages} with the {STEMS[model.stem]} stem, "
        f"model.width {model.width}; --arch names another"
    )


def _normalisation(
    foreign: Foreign, taken: Mapping[str, tuple[float, ...]], num_channels: int
) -> dict[str, tuple[float, ...]]:
    """Mean and deviation: those of the file, or of its config.json, or pixels as they are."""
    told = foreign.told.model or foreign.told
    if taken:
        return dict(taken)
    plain = {"mean": (0.0,) * num_channels, "std": (1.0,) * num_channels}
    return plain | {name: value for name in plain if (value := getattr(told, name)) is not None}


def require_unit_scale(mean: tuple[float, ...], std: tuple[float, ...], where: str) -> None:
    """Refuse a normalisation for pixels in [0, 255]: ours lie in [0, 1], and so does their mean.

    A deviation is then at most 0.5; a somewhat larger one may be a choice, one of tens is not.

    Raises:
        ConfigError: it is one; the sentence has both divided by 255.
    """
    is_finite = all(map(math.isfinite, (*mean, *std)))
    if not is_finite or (max(mean) <= 1 and max(std) <= MAX_STD):
        return
    scaled = [",".join(f"{value / 255:.4g}" for value in values) for values in (mean, std)]
    raise ConfigError(
        f"{where}: mean {mean} and deviation {std} are for pixels in [0, 255], and images here lie in [0, 1]; divide "
        f"both by 255: --mean {scaled[0]} --std {scaled[1]}"
    )


def _take_normalisation(path: Path, tensors: dict[str, Tensor]) -> dict[str, tuple[float, ...]]:
    """Take mean and deviation of a normalising wrapper out of the tensors, if they are there."""
    found: dict[str, tuple[float, ...]] = {}
    for name in list(tensors):
        if match := NORMALISATION.fullmatch(name):
            key = "mean" if match[1] else "std"
            values = tensors.pop(name)
            if key in found or values.numel() not in (1, 3) or not values.is_floating_point():
                raise CheckpointError(f"{path}: {name} of shape {tuple(values.shape)} is no {key} of three channels")
            found[key] = tuple(values.flatten().tolist())
    if len(found) == 1:
        raise CheckpointError(f"{path} holds a {next(iter(found))} of its normalisation, but not the other half")
    if found and not (all(map(math.isfinite, found["mean"])) and all(0 < value < math.inf for value in found["std"])):
        raise CheckpointError(f"{path}: its normalisation is none: mean {found['mean']}, deviation {found['std']}")
    if found:
        require_unit_scale(found["mean"], found["std"], str(path))
    return found


def _wanted(model: ModelConfig, num_classes: int, image_size: tuple[int, int] | None) -> dict[str, Tensor]:
    """What an imported network must have, by the names of a pipeline; as tensors without memory where it is ours."""
    if is_own(model):
        with torch.device("meta"):
            network = Network(model, num_classes)
    else:
        network = build_network(model, num_classes, torch.Generator(), image_size)
    state = network.with_classifier(NATURAL).state_dict()
    return {name: tensor for name, tensor in state.items() if name not in OWN_NORMALISATION}


def _require_fit(
    path: Path,
    model: ModelConfig,
    tensors: Mapping[str, Tensor],
    placed: Mapping[str, str | None],
    wanted: Mapping[str, Tensor],
) -> None:
    """Say everything that does not fit in one sentence."""
    targets = [target for target in placed.values() if target is not None]
    unknown = [name for name, target in placed.items() if target not in wanted]
    missing = [name for name in wanted if name not in targets and not name.endswith(COUNTER)]
    twice = sorted({target for target in targets if targets.count(target) > 1})
    fitting = {name: wanted[target] for name, target in placed.items() if target is not None and target in wanted}
    shapes = [
        f"{name} is {shape_text(tensors[name])} instead of {shape_text(want)}"
        for name, want in fitting.items()
        if tensors[name].shape != want.shape
    ]
    kinds = [name for name, want in fitting.items() if not _is_usable(tensors[name], want)]
    faults = {"unknown": unknown, "missing": missing, "given twice": twice, "of another shape": shapes}
    faults |= {"of another type": kinds, "not finite": [name for name in fitting if is_broken(tensors[name])]}
    told = "; ".join(f"{fault}: {listed(names)}" for fault, names in faults.items() if names)
    if told:
        stem = f" with the {STEMS[model.stem]} stem" if is_own(model) else ""
        last = "encoder.norm.weight" in missing and family_of(model) == "preactivation"
        why = "; a network without BatchNorm after its last block, as kuangliu's own, is none of ours" * last
        raise CheckpointError(f"{path} does not fit {model.architecture}{stem}; {told}{why}")


def _is_usable(tensor: Tensor, want: Tensor) -> bool:
    is_plain = tensor.layout == torch.strided and not tensor.is_quantized
    return is_plain and (tensor.is_floating_point() if want.is_floating_point() else tensor.dtype == want.dtype)


def _is_other(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dtype != torch.float32
