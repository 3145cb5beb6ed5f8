"""The bytes of the tensors of a checkpoint, piece by piece, however large they are. No torch, no numpy.

`safetensors` gives a tensor whole, and of some types (bf16) only to torch; what hashes, compares or copies tensors
needs neither.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from claf_engine.events.plain import MAX_INTEGER
from claf_engine.runs.foreign import open_foreign, parse_json
from claf_engine.runs.header import DTYPE_BYTES, MAX_HEADER_BYTES, refuse_pickle, unreadable
from claf_engine.terms.errors import CheckpointError, ForeignFileError

PIECE = 2**20
"""Bytes that are read at a time."""
METADATA = "__metadata__"


@dataclass(frozen=True)
class StoredTensor:
    """Where the numbers of a tensor lie in the file.

    Attributes:
        dtype: as safetensors names it, such as "F32".
        offset: bytes from the beginning of the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    num_bytes: int


@dataclass(frozen=True)
class TensorFile:
    """An open checkpoint.

    Attributes:
        metadata: the whole of it, as written.
        tensors: all of them, in the order of their names.
    """

    path: Path
    metadata: dict[str, str]
    tensors: dict[str, StoredTensor]
    _file: BufferedReader

    def pieces(self, name: str, size: int = PIECE) -> Iterator[bytes]:
        """The bytes of one tensor, `size` at a time.

        Raises:
            CheckpointError: the file ends before them, or cannot be read.
        """
        tensor = self.tensors[name]
        position, left = tensor.offset, tensor.num_bytes
        while left:
            try:
                self._file.seek(position)
                piece = self._file.read(min(size, left))
            except OSError as error:
                raise unreadable(self.path, f"cannot read {self.path}: {error.strerror}") from error
            if len(piece) < min(size, left):
                raise CheckpointError(f"{self.path} is truncated: it ends inside of {name}; use another checkpoint")
            position, left = position + len(piece), left - len(piece)
            yield piece


@contextmanager
def open_tensors(path: Path) -> Iterator[TensorFile]:
    """Open a checkpoint to read the bytes of its tensors.

    Raises:
        CheckpointError: it is missing, a pickle, no safetensors, or damaged.
    """
    refuse_pickle(path)
    try:
        file = open_foreign(path)
    except ForeignFileError as error:
        raise unreadable(path, str(error)) from error
    with file:
        try:
            opened = _parsed(path, file)
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise unreadable(path, f"{path} is damaged or not safetensors: {error}; use another checkpoint") from error
        yield opened


def _parsed(path: Path, file: BufferedReader) -> TensorFile:
    header_bytes = int.from_bytes(file.read(8), "little")
    if header_bytes > MAX_HEADER_BYTES:
        raise ValueError(f"its header claims {header_bytes} bytes")
    header = parse_json(file.read(header_bytes))
    metadata = {str(key): str(value) for key, value in header.pop(METADATA, {}).items()}
    tensors = {name: _tensor(name, header[name], 8 + header_bytes) for name in sorted(header)}
    return TensorFile(path, metadata, tensors, file)


def _tensor(name: str, told: Any, data_begins: int) -> StoredTensor:
    shape, (begin, end) = tuple(told["shape"]), told["data_offsets"]
    dtype = str(told["dtype"])
    if not all(isinstance(count, int) and 0 <= count < MAX_INTEGER for count in (*shape, begin, end)):
        raise ValueError(f"{name} has no shape or place")
    if dtype not in DTYPE_BYTES or end - begin != math.prod(shape) * DTYPE_BYTES[dtype]:
        raise ValueError(f"{name} is of an unknown type or of another size than its shape")
    return StoredTensor(name, dtype, shape, data_begins + begin, end - begin)
