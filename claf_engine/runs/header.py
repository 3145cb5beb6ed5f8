"""Look into a checkpoint without loading it: its header and its list of tensors. No torch."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from claf_engine.terms.errors import CheckpointError, CheckpointGone

MAX_HEADER_BYTES = 4 * 2**20
"""Our own cap; a header of ours is a few tens of KiB."""

MAX_COUNT = 2**53
"""No run has so many steps."""

MAX_DIGITS = 20
"""Of the step in the name of a checkpoint; a longer number is no step."""

FORMAT_KEY = "claf.format"
FORMAT_VERSION = "1"
CLASS_NAMES = "claf.class_names"
"""Key of the names of the classes, in the order of the labels; imported weights of old may lack it."""


NETWORK = "network."
"""What the names of the network's own tensors begin with."""
TRAINED = "trained."
"""Likewise of the weights that training goes on with, where the network is their running average."""
DECAY_KEY = "claf.averaging_decay"
"""Key of the decay of that average; only a checkpoint whose network is one has it."""
DTYPE_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"), 1),
}
"""Size of one number, by the names that safetensors gives to types."""


@dataclass(frozen=True)
class TensorInfo:
    """Name, shape and dtype of one stored tensor, as the header declares them."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def num_values(self) -> int:
        """How many numbers the tensor holds."""
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        """What they take; 0 for a type that is not known here."""
        return self.num_values * DTYPE_BYTES.get(self.dtype, 0)


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint's header says.

    Attributes:
        path: the file.
        run: name of the run folder that wrote it.
        step: optimiser steps of the whole run up to here.
        phase: title of the phase it was written in.
        epoch: finished epochs of that phase.
        metrics: figures measured on exactly this state, such as validation_natural and validation_robust.
        classifier: the classifier those figures belong to, and that `eval` uses unless told otherwise.
        weights_sha256: hash of the network's tensors alone (names, shapes, dtypes and bytes).
        num_bytes: size of the file.
        tensors: all stored tensors, in the order of their names.
        metadata: the whole metadata, decoded.
        num_records: of the run's journal that came before it.
    """

    path: Path
    run: str
    step: int
    phase: str
    epoch: int
    metrics: dict[str, float]
    classifier: str
    weights_sha256: str
    num_bytes: int
    tensors: tuple[TensorInfo, ...]
    metadata: dict[str, Any] = field(repr=False)
    num_records: int = 0

    @property
    def chosen_by(self) -> float | None:
        """The figure that the best checkpoint of a run is chosen by; None where it was not measured."""
        return self.metrics.get("validation_selection", self.metrics.get("validation_robust"))

    @property
    def edited(self) -> str:
        """What a person changed while its run went on, in words; empty where it says nothing of that."""
        ledger = self.metadata.get("claf.ledger")
        trail = ledger.get("trail") if isinstance(ledger, Mapping) else None
        if not isinstance(trail, Mapping):
            return ""
        steps = (key.partition(" ")[::2] for key in trail)
        return "; ".join(
            f"{name} {told} at step {step}" for (step, name), told in zip(steps, trail.values(), strict=True)
        )

    @property
    def edits(self) -> Mapping[str, Any]:
        """The settings that were edited so, as they stand, by their names."""
        ledger = self.metadata.get("claf.ledger")
        edits = ledger.get("edits") if isinstance(ledger, Mapping) else None
        return edits if isinstance(edits, Mapping) else {}

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width of the images that it was trained on; None where it does not say."""
        return size_of(self.metadata.get("claf.image_size"))

    @property
    def weights(self) -> str | None:
        """Which weights its network is, in words: their running average; None where it is those that were trained."""
        decay = self.metadata.get(DECAY_KEY)
        return None if decay is None else f"average, decay {float(decay):g}"


def size_of(told: object) -> tuple[int, int] | None:
    """Height and width as JSON has them, two whole numbers above 0; None of anything else."""
    if not isinstance(told, list) or len(told) != 2 or not all(type(side) is int and side > 0 for side in told):
        return None
    height, width = told
    return height, width


def step_in_name(name: str) -> int | None:
    """The step that the file name of a checkpoint tells, such as 123 of "step-000000123.safetensors"."""
    digits = Path(name).stem.removeprefix("step-")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < MAX_DIGITS else None


def read_info(path: Path) -> CheckpointInfo:
    """Read the header of one checkpoint.

    Raises:
        CheckpointGone: the file is missing, or goes while it is read.
        CheckpointError: it is a pickle, not safetensors, truncated, or not a CLAF checkpoint.
    """
    try:
        num_bytes = path.stat().st_size
    except OSError:
        num_bytes = 0
    metadata, tensors = _read_header(path)
    if metadata.get(FORMAT_KEY) != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} is a safetensors file but not a claf-tui checkpoint of format {FORMAT_VERSION}; "
            "choose a file from a run's checkpoints folder"
        )
    try:
        decoded = {key: json.loads(value) for key, value in metadata.items() if key.startswith("claf.")}
        if DECAY_KEY in decoded:
            float(decoded[DECAY_KEY])
        if CLASS_NAMES in decoded:
            _require_names(decoded[CLASS_NAMES])
        return CheckpointInfo(
            path=path,
            run=str(decoded["claf.run"]),
            step=_count(decoded["claf.step"]),
            phase=str(decoded["claf.phase"]),
            epoch=_count(decoded["claf.epoch"]),
            metrics=_finite({str(name): float(value) for name, value in decoded["claf.metrics"].items()}),
            classifier=str(decoded["claf.classifier"]),
            weights_sha256=str(decoded["claf.weights_sha256"]),
            num_bytes=num_bytes,
            tensors=tensors,
            metadata=decoded,
            num_records=_count(decoded.get("claf.num_records", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise CheckpointError(f"{path} has damaged metadata ({error}); use an older checkpoint of the run") from error


def _count(value: Any) -> int:
    count = int(value)
    if not 0 <= count < MAX_COUNT:
        raise ValueError(f"{count:.3g} is no count of steps or epochs")
    return count


def _require_names(names: Any) -> None:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise TypeError("its classes have no names")


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    """Leave out what was measured as no number: nothing can be compared with it, and JSON has no word for it."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def refuse_pickle(path: Path) -> None:
    """Refuse a file that is missing or that would need pickle to open.

    Raises:
        CheckpointGone: there is no such file.
        CheckpointError: it has a pickle's suffix, or begins like a pickle or a zip of pickles.
    """
    if not os.path.isfile(path):
        raise CheckpointGone(f"no checkpoint at {path}; `claf-tui runs` lists the runs")
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise unreadable(path, f"cannot read {path}: {error.strerror}") from error
    # Safetensors begin with the length of their header, which may look like a pickle, and then with a brace.
    begins_like_pickle = start[:2] == b"PK" or start[:1] == b"\x80"
    if path.suffix in {".pt", ".pth", ".ckpt", ".pkl"} or (begins_like_pickle and start[8:] != b"{"):
        raise CheckpointError(
            f"{path} is a pickle, which can run code when opened; only .safetensors files are read, and `claf-tui "
            "checkpoint import` takes over weights that were trained elsewhere"
        )


def unreadable(path: Path, sentence: str) -> CheckpointError:
    """The error of a file that could not be read: that it is gone, where it is, or else the sentence."""
    if os.path.lexists(path):
        return CheckpointError(sentence)
    return CheckpointGone(f"{path} was deleted while it was opened; choose another checkpoint of its run")


def _read_header(path: Path) -> tuple[dict[str, str], tuple[TensorInfo, ...]]:
    refuse_pickle(path)
    try:
        with path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise unreadable(path, f"cannot read {path}: {error.strerror}") from error
    if header_bytes > MAX_HEADER_BYTES:
        raise CheckpointError(f"{path} is damaged or not safetensors: its header claims {header_bytes} bytes")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            tensors = tuple(
                TensorInfo(name, tuple(slices[name].get_shape()), str(slices[name].get_dtype()))
                for name in sorted(slices)
            )
    except (SafetensorError, OSError) as error:
        raise unreadable(path, f"{path} is truncated, damaged or not safetensors: {error}") from error
    return metadata, tensors
