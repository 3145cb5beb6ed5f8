"""Files of weights that somebody else wrote, read without running what is in them, and fitted to a model by name."""

import argparse
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from claf_engine.runs.foreign import open_foreign
from claf_engine.runs.header import FORMAT_KEY
from claf_engine.terms.errors import CheckpointError, ForeignFileError, first_line

SAFETENSORS = ".safetensors"
NESTS = ("state_dict", "model_state_dict", "model", "net", "last")
"""Keys under which training scripts put the weights beside the epoch and the optimiser; "last" stands beside "best" in
some files of RobustBench, which takes it too."""
WRAPPERS = {"module", "model", "net", "backbone", "encoder", "_orig_mod", "0", "1"}
"""Leading parts of a name that only say how the network was wrapped; the numbers are those of a Sequential."""
PLAIN_TYPES: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [argparse.Namespace]
"""What else SupContrast saves beside the weights: its options, a record of values that runs nothing."""
COMPILED = "_orig_mod"
"""Part of a name that torch.compile adds, anywhere in it."""
COUNTER = "num_batches_tracked"
"""Unused in eval mode, and absent from files of old versions of torch."""
MAX_NAMED = 8
"""Names of one kind that a sentence holds."""


@dataclass(frozen=True)
class Weights:
    """A file of weights as it was found.

    Attributes:
        tensors: by their names in the file.
        sha256: of the file.
        left_aside: what lay beside the weights, such as "epoch".
    """

    tensors: Mapping[str, Tensor]
    sha256: str
    left_aside: tuple[str, ...] = ()


def read_weights(path: Path) -> Weights:
    """Read a file of safetensors or of `torch.save`: tensors and plain values only, so that nothing in it is run.

    Raises:
        CheckpointError: it is missing, damaged, one of our own checkpoints, holds more than weights and plain values,
            or no weights at all.
    """
    sha256 = _sha256(path)
    if path.suffix == SAFETENSORS:
        return Weights(_read_safetensors(path), sha256)
    try:
        with torch.serialization.safe_globals(PLAIN_TYPES):
            content = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251 (runs no code)
    except Exception as error:  # noqa: BLE001 (whatever a damaged or hostile pickle raises, it cannot be read)
        raise CheckpointError(
            f"{path} cannot be read as weights alone ({first_line(error)}); save `model.state_dict()` in a file of "
            "its own"
        ) from error
    tensors, left_aside = _unnest(path, content)
    return Weights(tensors, sha256, tuple(left_aside))


def fitted(
    wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path, model: str, optional: Collection[str] = ()
) -> dict[str, Tensor]:
    """The tensors of a file by the names of a model; wrappers such as "module." need not agree.

    Args:
        wanted: the model's tensors by name.
        found: the file's.
        path: of the file, for the sentence.
        model: what the model is called there.
        optional: names whose tensors are left out where they have another shape, such as those of the classifier.

    Returns:
        A tensor for every name of `wanted`, but for counters of old files and for what was left out; in its dtype.

    Raises:
        CheckpointError: a name is missing, unknown or given twice, or a tensor has another shape or is not finite.
    """
    named = found if wanted.keys() <= found.keys() else _renamed(wanted, found, path)
    shapes = {name for name in wanted.keys() & named.keys() if wanted[name].shape != named[name].shape}
    left_out = shapes & set(optional)
    usual = [name for name in wanted if name not in named and not name.endswith(COUNTER)]
    faults = {
        "unknown": [name for name in named if name not in wanted],
        "missing": usual,
        "of another shape": [
            f"{name} is {shape_text(named[name])} instead of {shape_text(wanted[name])}"
            for name in wanted
            if name in shapes - left_out
        ],
        "not finite": [name for name in named if is_broken(named[name])],
    }
    told = "; ".join(f"{fault}: {listed(names)}" for fault, names in faults.items() if names)
    if told:
        raise CheckpointError(f"{path} does not fit {model}; {told}")
    return {name: named[name].to(wanted[name].dtype) for name in wanted if name in named and name not in left_out}


def known(tensors: Mapping[str, Tensor], left_out: tuple[str, ...]) -> dict[str, Tensor]:
    """The tensors of a file without those that a model does without, whose names begin so behind what wraps them."""
    return {name: tensor for name, tensor in tensors.items() if not unwrapped(name).startswith(left_out)}


def unwrapped(name: str) -> str:
    """The name of a tensor without the leading parts that only say how its network was wrapped."""
    parts = name.split(".")
    while len(parts) > 1 and parts[0] in WRAPPERS:
        parts = parts[1:]
    return ".".join(parts)


def is_broken(tensor: Tensor) -> bool:
    """Whether a tensor holds NaN or an infinite number."""
    return tensor.layout == torch.strided and tensor.is_floating_point() and not bool(tensor.float().isfinite().all())


def shape_text(tensor: Tensor) -> str:
    """A shape as a sentence has it: "64x3x3x3"."""
    return "x".join(map(str, tensor.shape)) or "one number"


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Names as a sentence has them; of many the first and how many more."""
    rest = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _sha256(path: Path) -> str:
    try:
        with open_foreign(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except ForeignFileError as error:
        raise CheckpointError(str(error)) from error
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            is_ours = FORMAT_KEY in (file.metadata() or {})
            tensors = {} if is_ours else {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is truncated, damaged or not safetensors: {error}") from error
    if is_ours:
        raise CheckpointError(f"{path} is a checkpoint of claf-tui and knows its own model; name it without --model")
    if not tensors:
        raise CheckpointError(f"{path} holds no weights; save `model.state_dict()` in it")
    return tensors


def _renamed(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The file's tensors by the model's names, where both agree but for what wraps them; others keep their own.

    Raises:
        CheckpointError: two of the file's names are one without wrappers.
    """
    ours = {_without(_wrapping(wanted), name): name for name in wanted}
    renamed: dict[str, Tensor] = {}
    for name, tensor in found.items():
        target = name if name in wanted else ours.get(_without(_wrapping(found), name), name)
        if target in renamed:
            raise CheckpointError(f"{path} holds more than one network: {target} occurs twice in it")
        renamed[target] = tensor
    return renamed


def _wrapping(names: Iterable[str]) -> int:
    """How many leading parts, all of them wrappers, all names share; what torch.compile adds does not count."""
    parts = [[part for part in name.split(".") if part != COMPILED] for name in names]
    shared = commonprefix([each[:-1] for each in parts])
    return next((number for number, part in enumerate(shared) if part not in WRAPPERS), len(shared))


def _without(num_wrappers: int, name: str) -> str:
    return ".".join([part for part in name.split(".") if part != COMPILED][num_wrappers:])


def _unnest(path: Path, content: Any) -> tuple[dict[str, Tensor], list[str]]:
    """The dict of tensors in what a file holds, and the names of what lies beside it."""
    left_aside: list[str] = []
    while isinstance(content, Mapping):
        if content and all(isinstance(value, Tensor) for value in content.values()):
            return {str(name): value for name, value in content.items()}, left_aside
        nests = [key for key in NESTS if isinstance(content.get(key), Mapping)]
        strays = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
        if len(nests) != 1 and len(strays) < len(content):
            raise CheckpointError(f"{path} holds among its weights what is no tensor: {listed(strays)}")
        if len(nests) != 1:
            break
        left_aside += [str(key) for key in content if key != nests[0]]
        content = content[nests[0]]
    kind = (
        f"a dict of {listed([str(key) for key in content])}" if isinstance(content, Mapping) else type(content).__name__
    )
    raise CheckpointError(
        f"{path} holds no state dict, or more than one, but {kind}; save `model.state_dict()` in a file of its own"
    )
