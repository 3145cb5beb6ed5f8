"""How two checkpoints differ, tensor by tensor and piece by piece: memory stays bounded. No torch."""

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from claf_engine.events.ticks import Pulse
from claf_engine.runs.header import DTYPE_BYTES
from claf_engine.runs.tensor_bytes import PIECE, StoredTensor, TensorFile, open_tensors

NUMBERS_AT_ONCE = PIECE // max(DTYPE_BYTES.values())
Kind = Literal["same", "changed", "only before", "only after", "reshaped", "not finite", "not compared"]
NUMPY_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "<u1",
    "BOOL": "?",
}


@dataclass(frozen=True)
class Squares:
    """Sums over the numbers of a tensor a before and b after.

    Attributes:
        before: of a².
        after: of b².
        difference: of (a - b)².
        product: of a·b.
    """

    before: float = 0.0
    after: float = 0.0
    difference: float = 0.0
    product: float = 0.0

    def __add__(self, other: "Squares") -> "Squares":
        return Squares(
            self.before + other.before,
            self.after + other.after,
            self.difference + other.difference,
            self.product + other.product,
        )

    @property
    def is_finite(self) -> bool:
        """Whether no number was NaN or infinite, and no sum overflowed."""
        return all(map(math.isfinite, (self.before, self.after, self.difference, self.product)))

    @property
    def relative_norm(self) -> float:
        """||a - b|| / ||a||; 0 of equal tensors, infinite where a is zero and b is not."""
        if not self.difference:
            return 0.0
        return math.sqrt(self.difference / self.before) if self.before else math.inf

    @property
    def cosine(self) -> float | None:
        """Of the angle between a and b, in [-1, 1]; None where one of them is zero."""
        norm = math.sqrt(self.before) * math.sqrt(self.after)
        return max(-1.0, min(1.0, self.product / norm)) if norm else None


@dataclass(frozen=True)
class TensorDifference:
    """One tensor of two checkpoints.

    Attributes:
        before: its shape there; None where it is missing.
        after: the same.
        squares: None where the numbers cannot be compared.
    """

    name: str
    kind: Kind
    before: tuple[int, ...] | None
    after: tuple[int, ...] | None
    squares: Squares | None = None


def difference_steps(before: Path, after: Path) -> Generator[Pulse, None, tuple[TensorDifference, ...]]:
    """Compare all tensors of two checkpoints; a pulse comes after every tensor.

    Raises:
        CheckpointError: one of them cannot be read.
    """
    with open_tensors(before) as first, open_tensors(after) as second:
        names = sorted(first.tensors.keys() | second.tensors.keys())
        found = []
        for done, name in enumerate(names, 1):
            found.append(_difference(first, second, name))
            yield Pulse(name, done, len(names))
        return tuple(found)


def _difference(first: TensorFile, second: TensorFile, name: str) -> TensorDifference:
    one, other = first.tensors.get(name), second.tensors.get(name)
    if one is None or other is None:
        kind: Kind = "only after" if one is None else "only before"
        return TensorDifference(name, kind, one.shape if one else None, other.shape if other else None)
    if one.shape != other.shape:
        return TensorDifference(name, "reshaped", one.shape, other.shape)
    if not (_is_known(one) and _is_known(other)):
        return TensorDifference(name, "not compared", one.shape, other.shape)
    total = Squares()
    with np.errstate(all="ignore"):
        for a, b in zip_longest(_numbers(first, one), _numbers(second, other)):
            total += Squares(_product(a, a), _product(b, b), _product(a - b, a - b), _product(a, b))
    if not total.is_finite:
        return TensorDifference(name, "not finite", one.shape, other.shape)
    return TensorDifference(name, "changed" if total.difference else "same", one.shape, other.shape, total)


def _product(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The inner product, in this thread: BLAS would start others, which wait for each other while a run trains."""
    return float(np.einsum("i,i->", a, b))


def _is_known(tensor: StoredTensor) -> bool:
    return tensor.dtype == "BF16" or tensor.dtype in NUMPY_TYPES


def _numbers(file: TensorFile, tensor: StoredTensor) -> Iterator[NDArray[np.float64]]:
    """The numbers of a tensor, at most `NUMBERS_AT_ONCE` at a time: as many of every type, so that two keep step."""
    size = NUMBERS_AT_ONCE * DTYPE_BYTES[tensor.dtype]
    for piece in file.pieces(tensor.name, size):
        if tensor.dtype == "BF16":
            high = np.frombuffer(piece, "<u2").astype(np.uint32) << 16
            yield high.view(np.float32).astype(np.float64)
        else:
            yield np.frombuffer(piece, NUMPY_TYPES[tensor.dtype]).astype(np.float64)
