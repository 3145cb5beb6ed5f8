"""All logged steps of a journal as numbers, for whoever wants to see each of them. No torch.

A million steps are 60 MB of JSON and 16 MB here. Only steps as our own code writes them are read, by their text: it is
ten times as fast as parsing them, and what else a line may hold is of no use to a curve.
"""

import math
import os
import re
from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from claf_engine.runs.foreign import open_foreign
from claf_engine.runs.journal import METRICS
from claf_engine.runs.lines import PIECE
from claf_engine.terms.errors import ForeignFileError

MAX_STEPS = 5_000_000
"""Steps of which numbers are kept; a journal with more of them is read up to there."""
MAX_CURVES = 64
"""Of all losses and phases; ours have a dozen."""
_STEP = re.compile(
    rb'"type": "StepLogged", "step": (\d{1,15}), "phase": (\d{1,4}), "epoch": \d+, "part": "(\w{1,40})", '
    rb'"loss_name": "(\w{1,40})", "loss": (null|-?[0-9.e+-]{1,30}), "learning_rate": (null|-?[0-9.e+-]{1,30}),'
)


class CurveName(NamedTuple):
    """Which curve of logged steps: a loss, or the learning rate where `loss_name` is empty."""

    loss_name: str
    phase: int


@dataclass
class Column:
    """Steps in the order they were logged, and a value for each; NaN for one that was not finite."""

    steps: "array[float]" = field(default_factory=lambda: array("d"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def append(self, step: float, value: float) -> None:
        """Add one value; a step that lies before the last one is passed over."""
        if not self.steps or step >= self.steps[-1]:
            self.steps.append(step)
            self.values.append(value)


class StepReader:
    """Reads what a journal tells of its steps, and what was added since the last time.

    Args:
        directory: of the run.
        other_rates: parts of an epoch whose learning rate is not the phase's own.

    Attributes:
        curves: what was read so far.
    """

    def __init__(self, directory: Path, other_rates: frozenset[str] = frozenset()) -> None:
        self._path = directory / METRICS
        self._other_rates = {name.encode() for name in other_rates}
        self.curves: defaultdict[CurveName, Column] = defaultdict(Column)
        self._offset = self._inode = self._num_steps = 0
        self._begun = b""

    def read(self) -> bool:
        """Read what was added; from the beginning where the journal is another file by now.

        Returns:
            Whether there is anything that was not there before.

        Raises:
            ForeignFileError: it is no regular file, or cannot be read.
        """
        before = self._inode, self._num_steps
        with open_foreign(self._path) as file:
            status = os.fstat(file.fileno())
            if self._inode not in (0, status.st_ino) or status.st_size < self._offset:
                self._begin_anew()
            self._inode = status.st_ino
            file.seek(self._offset)
            while self._num_steps < MAX_STEPS:
                try:
                    piece = file.read(PIECE)
                except OSError as error:
                    raise ForeignFileError(f"cannot read {self._path}: {error.strerror}") from error
                if not piece:
                    break
                self._offset += len(piece)
                whole, end, begun = (self._begun + piece).rpartition(b"\n")
                self._begun = begun[-PIECE:]
                if end:
                    self._take(whole)
        return (self._inode, self._num_steps) != before

    def _begin_anew(self) -> None:
        self.curves.clear()
        self._offset = self._num_steps = 0
        self._begun = b""

    def _take(self, lines: bytes) -> None:
        for step, phase, part, loss_name, loss, rate in _STEP.findall(lines):
            self._num_steps += 1
            self._add(CurveName(loss_name.decode(), int(phase)), float(step), loss)
            if part not in self._other_rates:
                self._add(CurveName("", int(phase)), float(step), rate)

    def _add(self, name: CurveName, step: float, text: bytes) -> None:
        if name not in self.curves and len(self.curves) >= MAX_CURVES:
            return
        try:
            value = float(text) if text != b"null" else math.nan
        except ValueError:
            return
        self.curves[name].append(step, value if math.isfinite(value) else math.nan)
