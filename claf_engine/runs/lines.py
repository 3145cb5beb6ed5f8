"""The whole lines of a journal of any length, in bounded memory. No torch."""

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

LINE_CAP = 2**20
"""Longest line of a journal, in bytes; ours are a few KiB."""
PIECE = 2**18
"""Bytes that are read at once."""


class LineSplitter:
    """Splits what is read of a file, piece by piece, into whole lines without their ends.

    A line longer than `LINE_CAP` comes as an empty one, and a line that has no end yet waits for it.
    """

    def __init__(self) -> None:
        self._begun = b""
        self._is_long = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that end in a piece of at most `LINE_CAP` bytes."""
        lines = (self._begun + piece).split(b"\n")
        begun = lines.pop()
        if lines and (self._is_long or len(lines[0]) > LINE_CAP):
            lines[0] = b""
        self._is_long = len(begun) > LINE_CAP or (self._is_long and not lines)
        self._begun = b"" if self._is_long else begun
        return lines


def line_batches(file: BinaryIO) -> Iterator[list[bytes]]:
    """The lines of a journal without their ends, as they are read: see `whole_lines`."""
    splitter = LineSplitter()
    while piece := file.read(PIECE):
        yield splitter.feed(piece)


def whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a journal without their ends; one longer than `LINE_CAP` comes empty, a torn last one not at all."""
    return chain.from_iterable(line_batches(file))
