"""Files of weights that other people saved: read without running what is in them, freed of nests and wrappers."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from claf_engine.evaluation.export_config import CONFIG, Told, read_told, told_by_header
from claf_engine.runs.header import FORMAT_KEY
from claf_engine.terms.errors import CheckpointError
from claf_engine.training.weights_file import SAFETENSORS, WRAPPERS, Weights, read_weights, unwrapped

INNER = {"module", "_orig_mod", "_checkpoint_wrapped_module"}
"""Parts of a name, anywhere in it, that say that a module was trained in parallel, compiled or checkpointed."""
TWIN = "attacker."
"""MadryLab's robustness saves the network a second time, inside the attacker that holds it."""
PROJECTION = "head."
PROJECTION_LAYERS = "head.0.weight"
SINGLE_PROJECTION = {"head.weight", "fc.weight"}
"""SupContrast's projection head, of two layers or of one, which no classifier stands behind."""
UNUSED = {
    "sub_block1.": "a first group that the code of TRADES makes and never calls",
    "n_averaged": "the count of averaged weights",
}
"""Beginnings of names that no forward pass reads, and what they are."""
NORMALISATION = re.compile(r"(?:norm\w*\.|preprocess\w*\.)?(?:(mu|mean|new_mean)|(sigma|std|new_std))")
OURS = "classifiers."
"""What the classifiers of a network of ours are named after."""
OWN_PART = "projection_head.layers.0.weight"
"""A tensor of every network of ours."""
FILES = ("model.safetensors", "pytorch_model.bin")
"""Files of weights in a folder as the Hub has them, the first that is there."""


@dataclass(frozen=True)
class Foreign:
    """A file of weights as it was found.

    Attributes:
        tensors: by their names in the file, without wrappers.
        sha256: of the file.
        left_aside: what lay beside the weights, such as "epoch".
        raw: by the names with wrappers.
        told: what a config.json beside the file, or its header, says of it.
    """

    tensors: Mapping[str, Tensor]
    sha256: str
    left_aside: tuple[str, ...] = ()
    raw: Mapping[str, Tensor] = field(default_factory=dict)
    told: Told = field(default_factory=Told)


def read_foreign(path: Path) -> Foreign:
    """Read a file of `torch.save` or safetensors, or a folder that has one beside a config.json.

    Of a pickle tensors and plain values only, so that nothing in it is run.

    Raises:
        CheckpointError: it is missing, damaged, holds more than weights and plain values, or no weights at all; or its
            config.json is damaged, or describes another file.
    """
    file = _file_of(path)
    header = _header(file)
    if FORMAT_KEY in header:
        raise CheckpointError(
            f"{file} is a checkpoint of a run of claf-tui, which needs no import: `claf-tui eval {file}` measures it"
        )
    found = read_weights(file)
    beside = file.with_name(CONFIG)
    is_described = beside.is_file() and (file != path or file.suffix == SAFETENSORS)
    told = read_told(beside, found.sha256) if is_described else told_by_header(header, file)
    return _freed(file, found, told)


def _header(path: Path) -> dict[str, str]:
    """The metadata of a file of safetensors; empty where it is none, or cannot be read, which `read_weights` tells."""
    if path.suffix != SAFETENSORS:
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError):
        return {}


def is_ours(names: Iterable[str]) -> bool:
    """Whether these are the names of a network of ours."""
    return any(name == OWN_PART or name.startswith(OURS) for name in names)


def _file_of(path: Path) -> Path:
    """The file of weights that is meant: the path, or the one in a folder.

    Raises:
        CheckpointError: there is none in the folder.
    """
    if not path.is_dir():
        return path
    for name in FILES:
        if (path / name).is_file():
            return path / name
    raise CheckpointError(f"{path} has no {' or '.join(FILES)}; name the file of weights in it")


def _freed(path: Path, found: Weights, told: Told) -> Foreign:
    """The weights without wrappers, and without what no forward pass of the network reads."""
    weights, left_aside = found.tensors, list(found.left_aside)
    if is_ours(weights):
        return Foreign(weights, found.sha256, found.left_aside, weights, told)
    plain = _renamed(path, weights, _unwrapped_inside)
    for begin, what in UNUSED.items():
        unused = [name for name in plain if unwrapped(name).startswith(begin)]
        plain = {name: tensor for name, tensor in plain.items() if name not in unused}
        left_aside += [f"{begin}{'*' * begin.endswith('.')}, {what}"] * bool(unused)
    own = {name: tensor for name, tensor in plain.items() if not unwrapped(name).startswith(TWIN)}
    tensors = _renamed(path, own, unwrapped)
    if len(own) < len(plain):
        _require_twin(path, tensors, {name: tensor for name, tensor in plain.items() if name not in own})
        left_aside.append(f"{TWIN}*, which is the same network once more")
    if PROJECTION_LAYERS in tensors or tensors.keys() >= SINGLE_PROJECTION:
        tensors = _without_projection(path, tensors)
        left_aside.append(f"{PROJECTION}*, the projection head")
    return Foreign(tensors, found.sha256, tuple(left_aside), own, told)


def _renamed(path: Path, weights: Mapping[str, Tensor], rename: Callable[[str], str]) -> dict[str, Tensor]:
    """The weights by other names.

    Raises:
        CheckpointError: two get the same name.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        short = rename(name)
        if short in found:
            raise CheckpointError(f"{path} holds more than one network: {short} occurs twice in it")
        found[short] = tensor
    return found


def _unwrapped_inside(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in INNER)


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


def wanted_name(name: str, wanted: Mapping[str, str]) -> str:
    """A name without as many wrappers as it takes to be one that is wanted; as it is where that never happens."""
    short = _unwrapped_inside(name)
    while short not in wanted and short.partition(".")[0] in WRAPPERS and "." in short:
        short = short.partition(".")[2]
    return short if short in wanted else name
