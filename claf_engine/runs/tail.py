"""Follows a file that another process appends lines to. No torch."""

import os
from collections.abc import Iterator
from pathlib import Path

from claf_engine.runs.foreign import open_foreign
from claf_engine.runs.lines import PIECE, LineSplitter
from claf_engine.terms.errors import ForeignFileError


class Tail:
    """Reads the whole lines that were added to a file since the last time.

    Args:
        path: the file, which need not be there yet.
        from_end: begin with what is added from now on; else with all there is.
    """

    def __init__(self, path: Path, *, from_end: bool = False) -> None:
        self._path = path
        self._offset = 0
        self._inode = 0
        self._splitter = LineSplitter()
        if from_end:
            self._offset = self.num_added()

    def was_replaced(self) -> bool:
        """Whether the file is another one than before, or lost its end."""
        try:
            status = self._path.stat()
        except OSError:
            return False
        return self._inode not in (0, status.st_ino) or status.st_size < self._offset

    def num_added(self) -> int:
        """How many bytes were added."""
        try:
            return max(0, self._path.stat().st_size - self._offset)
        except OSError:
            return 0

    def batches(self) -> Iterator[list[bytes]]:
        """The new lines without their ends, as they are read; one that is not whole yet waits."""
        try:
            with open_foreign(self._path) as file:
                self._inode = os.fstat(file.fileno()).st_ino
                file.seek(self._offset)
                while piece := file.read(PIECE):
                    self._offset += len(piece)
                    yield self._splitter.feed(piece)
        except (OSError, ForeignFileError):
            return
