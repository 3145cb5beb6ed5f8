"""Weights of other people's CIFAR ResNets: read without running what is in the file, and mapped onto ours by name.

The naming is that of kuangliu/pytorch-cifar and of torchvision, which most published CIFAR models share. A name that is
not understood is an error: weights that are left out silently make another network, with another accuracy.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from claf_engine.config import ModelConfig
from claf_engine.models.network import NATURAL, Network
from claf_engine.terms.errors import CheckpointError, ConfigError
from claf_engine.training.weights_file import COUNTER, Weights, is_broken, listed, read_weights, shape_text, unwrapped

ARCHITECTURES: dict[str, tuple[int, ...]] = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
"""Blocks per stage of the ResNets with two convolutions a block (He et al. 2016, table 1), with the CIFAR stem."""

TWIN = "attacker."
"""MadryLab's robustness saves the network a second time, inside the attacker that holds it."""
PROJECTION = "head."
"""SupContrast's projection head, which no classifier stands behind."""
NORMALISATION = re.compile(r"(?:norm\w*\.|preprocess\w*\.)?(?:(mu|mean|new_mean)|(sigma|std|new_std))")
OUTER = {
    "conv1": "encoder.stem",
    "bn1": "encoder.norm",
    "linear": f"classifiers.{NATURAL}",
    "fc": f"classifiers.{NATURAL}",
}
OUTER_NAME = re.compile(r"(conv1|bn1|linear|fc)\.(\w+)")
BLOCK_NAME = re.compile(r"layer([1-9])\.(\d{1,3})\.(?:(conv|bn)([12])|(?:shortcut|downsample)\.([01]))\.(\w+)")
BLOCK_PARTS = {"conv": "conv", "bn": "norm"}


MAX_STD = 10.0
"""A deviation above this is meant for pixels in [0, 255], whose deviation is about 60."""


@dataclass(frozen=True)
class Converted:
    """Weights by our names.

    Attributes:
        model: width, blocks and, where the file carries one, normalisation.
        num_classes: outputs of the classifier.
        tensors: of the encoder and the natural classifier, fp32.
        has_normalisation: whether `model` has it from the file.
        notices: a sentence for each thing that was changed or left aside.
    """

    model: ModelConfig
    num_classes: int
    tensors: Mapping[str, Tensor]
    has_normalisation: bool
    notices: tuple[str, ...]


def read_foreign(path: Path) -> Weights:
    """Read the weights of a CIFAR ResNet, without what wrapped or accompanied it.

    Raises:
        CheckpointError: see `read_weights`; or the file holds more than one network, or no classifier.
    """
    found = read_weights(path)
    weights, left_aside = found.tensors, list(found.left_aside)
    own = {name: tensor for name, tensor in weights.items() if not unwrapped(name).startswith(TWIN)}
    tensors = _without_wrappers(path, own)
    if len(own) < len(weights):
        _require_twin(path, tensors, {name: tensor for name, tensor in weights.items() if name not in own})
        left_aside.append(f"{TWIN}*, which is the same network once more")
    if any(name.startswith(PROJECTION) for name in tensors):
        tensors = _without_projection(path, tensors)
        left_aside.append(f"{PROJECTION}*, the projection head")
    return Weights(tensors, found.sha256, tuple(left_aside))


def convert(foreign: Weights, arch: str, path: Path) -> Converted:
    """Map weights onto our network by name and shape.

    Args:
        foreign: the weights.
        arch: one of `ARCHITECTURES`; the width follows from the weights.
        path: for the messages.

    Raises:
        CheckpointError: a name is not understood or understood twice, a tensor is missing, of another shape or not
            finite, or the normalisation is none.
        ConfigError: the normalisation is for pixels in [0, 255].
    """
    tensors = dict(foreign.tensors)
    normalisation = _take_normalisation(path, tensors)
    model, num_classes = _sizes(path, arch, tensors, normalisation)
    wanted = _wanted(model, num_classes)
    placed = {name: place(name, model.blocks) for name in tensors}
    _require_fit(path, arch, tensors, placed, wanted)
    converted = {target: tensors[name] for name, target in placed.items() if target is not None}
    counters = [name for name in wanted if name.endswith(COUNTER) and name not in converted]
    notices = [f"left aside, because it is no part of the network: {listed(foreign.left_aside)}"] * bool(
        foreign.left_aside
    )
    other_types = {str(tensor.dtype).removeprefix("torch.") for tensor in converted.values() if _is_other(tensor)}
    if other_types:
        notices.append(f"converted weights from {listed(sorted(other_types))} to float32")
    ready = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in converted.items()}
    ready |= {name: torch.zeros((), dtype=torch.int64) for name in counters}
    return Converted(model, num_classes, ready, bool(normalisation), tuple(notices))


def place(name: str, blocks: tuple[int, ...]) -> str | None:
    """Our name of a tensor, or None where there is none: layer2.0.bn1.weight is encoder.blocks.2.norm1.weight."""
    if found := OUTER_NAME.fullmatch(name):
        return f"{OUTER[found[1]]}.{found[2]}"
    if not (found := BLOCK_NAME.fullmatch(name)):
        return None
    stage, block = int(found[1]) - 1, int(found[2])
    if stage >= len(blocks) or block >= blocks[stage]:
        return None
    part = f"shortcut.{found[5]}" if found[5] else f"{BLOCK_PARTS[found[3]]}{found[4]}"
    return f"encoder.blocks.{sum(blocks[:stage]) + block}.{part}.{found[6]}"


def _without_wrappers(path: Path, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    stripped: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        short = unwrapped(name)
        if short in stripped:
            raise CheckpointError(f"{path} holds more than one network: {short} occurs twice in it")
        stripped[short] = tensor
    return stripped


def _require_twin(path: Path, tensors: Mapping[str, Tensor], twin: Mapping[str, Tensor]) -> None:
    """Refuse a second network that is not the first: which of them was meant?"""
    own = {_part_name(name): tensor for name, tensor in tensors.items()}
    for name, tensor in twin.items():
        same = own.get(_part_name(unwrapped(unwrapped(name).removeprefix(TWIN))))
        if same is None or not torch.equal(same, tensor):
            raise CheckpointError(
                f"{path} holds more than one network: {name} is not what the network itself has there; save "
                "`model.model.state_dict()` in a file of its own"
            )


def _part_name(name: str) -> str:
    """A name by which the parts of two wrappings are compared: normalisation has another one in each."""
    found = NORMALISATION.fullmatch(name)
    return name if found is None else "mean" if found[1] else "std"


def _without_projection(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave a projection head aside, where there is a classifier to measure."""
    if not any(name.startswith(("linear.", "fc.")) for name in tensors):
        raise CheckpointError(
            f"{path} holds an encoder with a projection head, but no classifier to measure; put fc.weight and fc.bias "
            "of the linear classifier that was trained on it into the same state dict"
        )
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(PROJECTION)}


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
            if key in found or values.numel() != 3 or not values.is_floating_point():
                raise CheckpointError(f"{path}: {name} of shape {tuple(values.shape)} is no {key} of three channels")
            found[key] = tuple(values.flatten().tolist())
    if len(found) == 1:
        raise CheckpointError(f"{path} holds a {next(iter(found))} of its normalisation, but not the other half")
    if found and not (all(map(math.isfinite, found["mean"])) and all(0 < value < math.inf for value in found["std"])):
        raise CheckpointError(f"{path}: its normalisation is none: mean {found['mean']}, deviation {found['std']}")
    if found:
        require_unit_scale(found["mean"], found["std"], str(path))
    return found


def _sizes(
    path: Path, arch: str, tensors: Mapping[str, Tensor], normalisation: Mapping[str, tuple[float, ...]]
) -> tuple[ModelConfig, int]:
    """Width and number of classes, as the first convolution and the classifier have them."""
    stem, classifier = tensors.get("conv1.weight"), tensors.get("linear.weight", tensors.get("fc.weight"))
    if stem is None or stem.dim() != 4 or classifier is None or classifier.dim() != 2:
        missing = "conv1.weight" if stem is None or stem.dim() != 4 else "linear.weight or fc.weight"
        raise CheckpointError(
            f"{path} is no {arch} with the usual names: it has no {missing}, but {listed(list(tensors))}"
        )
    chosen = normalisation or {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    model = ModelConfig.model_validate({"width": max(1, len(stem)), "blocks": ARCHITECTURES[arch], **chosen})
    return model, max(1, len(classifier))


def _wanted(model: ModelConfig, num_classes: int) -> dict[str, Tensor]:
    """What an imported network must have, as tensors without memory."""
    with torch.device("meta"):
        network = Network(model, num_classes)
    parts = ("encoder.", f"classifiers.{NATURAL}.")
    own = ("encoder.mean", "encoder.std")
    return {name: tensor for name, tensor in network.state_dict().items() if name.startswith(parts) and name not in own}


def _require_fit(
    path: Path, arch: str, tensors: Mapping[str, Tensor], placed: Mapping[str, str | None], wanted: Mapping[str, Tensor]
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
        raise CheckpointError(f"{path} does not fit {arch} with the CIFAR stem; {told}")


def _is_usable(tensor: Tensor, want: Tensor) -> bool:
    is_plain = tensor.layout == torch.strided and not tensor.is_quantized
    return is_plain and (tensor.is_floating_point() if want.is_floating_point() else tensor.dtype == want.dtype)


def _is_other(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dtype != torch.float32
