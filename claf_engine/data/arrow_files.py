"""Parquet and Arrow files: their columns, and single images of them, wherever these lie in a file."""

import hashlib
import os
import threading
from bisect import bisect_right
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from claf_engine.data.decoding import Raw
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError, first_line
from claf_engine.terms.installation import install_line
from claf_engine.terms.places import CACHE_VARIABLE, cache_dir


class Table:
    """The images of one column of some files, opened in each process when they are first asked for.

    Args:
        files: in their order.
        column: of the images.
        counts: rows of each file.
    """

    def __init__(self, files: tuple[str, ...], column: str, counts: tuple[int, ...]) -> None:
        self._files, self._column = files, column
        self._ends = tuple(accumulate(counts))
        self._piece: tuple[tuple[int, int], int, Any] | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_piece", "_lock")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state, _piece=None, _lock=threading.Lock())

    def raw(self, index: int) -> Raw:
        """The bytes of an image file, or the file beside the table that it names.

        Raises:
            DataError: the row holds no image.
        """
        number = bisect_right(self._ends, index)
        row = index - (self._ends[number - 1] if number else 0)
        cell = self._cell(number, row)
        content = cell.get("bytes") if isinstance(cell, Mapping) else cell
        if isinstance(content, bytes):
            return content
        path = cell.get("path") if isinstance(cell, Mapping) else None
        if isinstance(path, str) and path:
            return Path(self._files[number]).parent / path
        raise DataError(f"image {self.name(index)} is no image file; choose another column with data.image_column")

    def name(self, index: int) -> str:
        """Its row and file."""
        number = bisect_right(self._ends, index)
        return f"{index - (self._ends[number - 1] if number else 0)} of {self._files[number]}"

    def unpacked_steps(self) -> Generator[Pulse, None, "Table"]:
        """The same images where any of them is read quickly: Parquet files are written once more, into our cache.

        Raises:
            DataError: there is no room for them.
        """
        if not self._files or not self._files[0].endswith(".parquet"):
            return self
        kept = []
        for number, file in enumerate(self._files):
            yield Pulse("unpacking tables", number, len(self._files))
            kept.append(_unpacked(file, self._column))
        counts = tuple(end - begin for begin, end in pairwise((0, *self._ends)))
        return Table(tuple(kept), self._column, counts)

    def _cell(self, number: int, row: int) -> Any:
        with self._lock:
            piece = self._piece
            if piece is None or piece[0][0] != number or not piece[1] <= row < piece[1] + len(piece[2]):
                piece = self._piece = _piece_with(self._files[number], number, row, self._column)
        return piece[2][row - piece[1]].as_py()


def schema_of(file: str) -> Any:
    """Names and types of the columns of a file, with what its writer says of them.

    Raises:
        DataError: it cannot be read.
    """
    if file.endswith(".parquet"):
        import pyarrow.parquet as pq

        with _readable(file):
            return pq.read_schema(file)
    return _arrow_table(file).schema


def column_of(file: str, column: str) -> Any:
    """One whole column of a file; a large one only where it is mapped from the disk.

    Raises:
        DataError: it cannot be read.
    """
    if file.endswith(".parquet"):
        import pyarrow.parquet as pq

        with _readable(file):
            return pq.read_table(file, columns=[column]).column(column)
    return _arrow_table(file).column(column)


def _piece_with(file: str, number: int, row: int, column: str) -> tuple[tuple[int, int], int, Any]:
    """The piece of a file that holds a row: its number, its first row and its cells."""
    if not file.endswith(".parquet"):
        return (number, 0), 0, _arrow_table(file).column(column)
    import pyarrow.parquet as pq

    with _readable(file), pq.ParquetFile(file, memory_map=True) as table:
        first = 0
        for group in range(table.num_row_groups):
            count = table.metadata.row_group(group).num_rows
            if row < first + count:
                return (number, group), first, table.read_row_group(group, columns=[column]).column(column)
            first += count
    raise DataError(f"{file} has fewer rows than it had; leave it alone while it is read")


def _unpacked(file: str, column: str) -> str:
    """An Arrow file of one column of a Parquet file, in our cache."""
    import pyarrow.parquet as pq

    pa, status = require_pyarrow(), os.stat(file)
    told = hashlib.sha256(repr((file, status.st_size, status.st_mtime_ns, column)).encode()).hexdigest()
    kept = cache_dir() / "tables" / f"{told[:32]}.arrow"
    if kept.exists():
        return str(kept)
    half = kept.with_suffix(f".{os.getpid()}.half")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with _readable(file), pq.ParquetFile(file) as table:
            schema = table.schema_arrow.field(column)
            with pa.OSFile(str(half), "wb") as target, pa.ipc.new_stream(target, pa.schema([schema])) as writer:
                for batch in table.iter_batches(batch_size=1000, columns=[column]):
                    writer.write_batch(batch)
        os.replace(half, kept)
    except OSError as error:
        raise DataError(
            f"cannot unpack {file} to {kept.parent} ({error.strerror}); set {CACHE_VARIABLE} to a folder with room"
        ) from error
    finally:
        half.unlink(missing_ok=True)
    return str(kept)


def _arrow_table(file: str) -> Any:
    """A table of an Arrow file, in either of its formats, mapped from the disk and not read."""
    pa = require_pyarrow()
    with _readable(file):
        mapped = pa.memory_map(file)
        try:
            return pa.ipc.open_stream(mapped).read_all()
        except pa.ArrowInvalid:
            return pa.ipc.open_file(mapped).read_all()


@contextmanager
def _readable(file: str) -> Iterator[None]:
    """What pyarrow raises of a file becomes a sentence that says which file it is."""
    try:
        yield
    except (OSError, require_pyarrow().ArrowException) as error:
        raise DataError(f"cannot read {file} ({first_line(error)}); replace or remove it") from error


def require_pyarrow() -> Any:
    """The library that reads these files.

    Raises:
        DataError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise DataError(f"tables of images need pyarrow ({error}); get it with {install_line('hf')}") from error
    return pyarrow
