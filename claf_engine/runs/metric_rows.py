"""Every logged figure of a run as one row: step, phase, epoch, time, name, value. In bounded memory, no torch."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from claf_engine import events as ev
from claf_engine.runs.foreign import open_foreign
from claf_engine.runs.journal import METRICS
from claf_engine.runs.lines import whole_lines
from claf_engine.runs.streaming import Passage


class MetricRow(NamedTuple):
    """One value of one series.

    Attributes:
        step: optimiser steps of the whole run.
        phase: its number, from 0, as in the journal.
        epoch: of the phase.
        elapsed: seconds since the run began, pauses left out, at the last logged step; None before the first.
        name: of the series, such as "loss/supcon" or "probe/attack/robust 8/255".
        value: NaN where it was not finite.
    """

    step: int
    phase: int
    epoch: int
    elapsed: float | None
    name: str
    value: float


class MetricReader:
    """Reads the rows of a run, once.

    Args:
        directory: of the run.

    Attributes:
        num_rows: rows so far; `num_not_finite` of them have no finite value.

    Raises:
        MissingFile: the run has logged nothing.
        ForeignFileError: its journal is no regular file, or cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / METRICS
        open_foreign(self._path).close()
        self._passage = Passage()
        self.num_rows = self.num_not_finite = 0

    @property
    def num_damaged(self) -> int:
        """Lines so far that told nothing."""
        return self._passage.num_damaged

    def rows(self) -> Iterator[MetricRow]:
        """The rows in the order in which they were logged."""
        phase, elapsed = 0, None
        with open_foreign(self._path) as file:
            for event in self._passage.events([whole_lines(file)]):
                if not isinstance(event, MEASURED):
                    continue
                phase = getattr(event, "phase", phase)
                elapsed = event.elapsed if isinstance(event, ev.StepLogged) else elapsed
                for name, value in values_of(event):
                    self.num_rows += 1
                    self.num_not_finite += not math.isfinite(value)
                    yield MetricRow(event.step, phase, event.epoch, elapsed, name, value)


Measured = (
    ev.StepLogged
    | ev.EpochFinished
    | ev.ClassifierRetrained
    | ev.OverfittingChecked
    | ev.DissociationMeasured
    | ev.ProbeFinished
    | ev.SentinelsChecked
)
MEASURED: tuple[type[Measured], ...] = Measured.__args__


def values_of(event: Measured) -> list[tuple[str, float]]:
    """The figures of an event, each with the name of its series; accuracies are shares in [0, 1]."""
    match event:
        case ev.StepLogged():
            speed = [] if event.images_per_second is None else [("images per second", event.images_per_second)]
            return [
                (f"loss/{event.loss_name}", event.loss),
                (f"learning rate/{event.part}", event.learning_rate),
                *speed,
            ]
        case ev.EpochFinished():
            return [("epoch/mean loss", event.mean_loss), ("epoch/seconds", event.seconds)]
        case ev.ClassifierRetrained():
            return [("retrain/before", event.before), ("retrain/after", event.after)]
        case ev.OverfittingChecked():
            return [("overfitting/one step", event.single_step), ("overfitting/multi step", event.multi_step)]
        case ev.DissociationMeasured():
            return [(f"dissociation/{name}", getattr(event, name)) for name in ("fitted", "moved", "dissociation")]
        case ev.ProbeFinished():
            return _probed(event)
        case ev.SentinelsChecked():
            names = ("natural", "radius_zero", "one_step", "multi_step", "cross_entropy", "margin")
            found = ((name, getattr(event, name)) for name in names)
            return [(f"sentinels/{event.classifier}/{name}", value) for name, value in found if value is not None]


def _probed(event: ev.ProbeFinished) -> list[tuple[str, float]]:
    about = f"probe/{event.classifier}"
    robust = [(f"{about}/robust {_radius(figure)}", figure.accuracy) for figure in event.robust]
    chosen = [] if event.selection is None else [(f"{about}/selection", event.selection)]
    return [(f"{about}/natural", event.natural), *robust, *chosen]


def _radius(figure: ev.RobustFigure) -> str:
    """A radius with what tells it from others of the same run; Linf and pixel space go without saying."""
    norm = "" if figure.norm == "linf" else f"{figure.norm} "
    space = "" if figure.is_in_a_ball else f" {figure.space}"
    return f"{norm}{figure.epsilon}{space}"
