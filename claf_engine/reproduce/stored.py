"""Measurements and verdicts on disk, each under a name made of everything that it depends on.

So a killed reproduction, or another table with the same row, finds them again. What cannot be read is made again.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from claf_engine.runs.durable import write_atomically
from claf_engine.runs.foreign import CARD_CAP, read_object
from claf_engine.terms.errors import ForeignFileError, RunError

Found = TypeVar("Found")


def key_of(plain: object) -> str:
    """A name that other plain values do not have."""
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:24]


def read_stored(file: Path, build: Callable[[Mapping[str, Any]], Found]) -> Found | None:
    """What was stored, as `build` makes it of the record; None where there is nothing, or it is damaged."""
    try:
        return build(read_object(file, CARD_CAP))
    except (ForeignFileError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def store(file: Path, record: Mapping[str, Any]) -> None:
    """Write a record, whole or not at all.

    Raises:
        RunError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(record, indent=1).encode())
    except OSError as error:
        raise RunError(f"cannot write {file}: {error.strerror}; make room and reproduce again") from error


def packed(right: Tensor) -> str:
    """Which images (N,) a model gets right, bool, as text: eight images a byte, in base64."""
    return base64.b64encode(np.packbits(right.cpu().numpy()).tobytes()).decode()


def unpacked(text: str, count: int) -> Tensor:
    """The first `count` of what `packed` wrote, (count,) bool.

    Raises:
        ValueError: it is no such text, or of fewer images.
    """
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8))
    if not 0 <= len(bits) - count < 8:
        raise ValueError(f"{len(bits)} bits are not {count} images")
    return torch.from_numpy(bits[:count].astype(bool))
