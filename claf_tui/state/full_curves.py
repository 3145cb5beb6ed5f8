"""All points of a run's curves, re-read from its journal for whoever zooms in on them. No Textual."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from claf_engine.runs.logged_steps import Column, StepReader
from claf_tui.state.folds import RETRAINING
from claf_tui.state.points import Points
from claf_tui.state.run_state import LossKey, RunState


@dataclass(frozen=True, eq=False)
class FullCurve:
    """Every logged value of one curve; arrays have shape (n,)."""

    steps: np.ndarray[tuple[int], np.dtype[np.float64]]
    values: np.ndarray[tuple[int], np.dtype[np.float64]]

    @classmethod
    def of_column(cls, column: Column) -> "FullCurve":
        """Copy what was read so far; the reader goes on adding."""
        return cls(np.array(column.steps, dtype=np.float64), np.array(column.values, dtype=np.float64))

    @property
    def latest(self) -> float | None:
        """The last value."""
        return float(self.values[-1]) if len(self.values) else None

    @cached_property
    def arrays(self) -> Points:
        """The points."""
        return Points.of_values(self.steps, self.values)


@dataclass(frozen=True, eq=False)
class FullCurves:
    """Every logged value of a run, by the curves that it belongs to."""

    losses: Mapping[LossKey, FullCurve]
    rates: Mapping[int, FullCurve]


class FullReader:
    """Re-reads the journal of one run; what was read stays until it is let go."""

    def __init__(self, directory: Path) -> None:
        self._reader = StepReader(directory, frozenset(RETRAINING))
        self._curves = FullCurves({}, {})

    def read(self) -> FullCurves:
        """Read what was added since the last time; where nothing was, the curves are the same object.

        Raises:
            ForeignFileError: the journal cannot be read.
        """
        if self._reader.read():
            found = {name: FullCurve.of_column(column) for name, column in self._reader.curves.items()}
            losses = {LossKey(*name): curve for name, curve in found.items() if name.loss_name}
            self._curves = FullCurves(
                losses, {name.phase: curve for name, curve in found.items() if not name.loss_name}
            )
        return self._curves


def is_gathered(state: RunState) -> bool:
    """Whether a curve of logged steps has lost points in memory, so that its journal has more to show."""
    return any(series.stride > 1 for series in (*state.losses.values(), *state.rates.values()))
