"""The curves of several runs on one axis: steps, epochs, time, or forward passes an image. Pure, no Textual.

Each run keeps its own clock. What is drawn lies at the places of the axis itself, so that a chart needs no run that the
others are measured by.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from claf_tui.state.compared_run import ComparedRun, trained_phases
from claf_tui.state.points import Floats, Points
from claf_tui.state.run_state import RunState
from claf_tui.state.series import Series
from claf_tui.state.timeline import Timeline, Track

CompareAxis = Literal["step", "epoch", "clock", "units"]
AXES: tuple[CompareAxis, ...] = ("step", "epoch", "clock", "units")
AXIS_TITLES = {"step": "optimiser steps", "epoch": "epochs", "clock": "time", "units": "forward passes an image"}
IDENTITY = Timeline(Track(((0.0, 0.0), (1.0, 1.0))), Track(((0.0, 0.0), (1.0, 1.0))))
"""Of a chart whose points lie at places of the axis already."""
NATURAL, ROBUST, LOSS, RATE = "natural", "robust", "loss", "learning rate"


@dataclass(frozen=True, eq=False)
class Placed:
    """A curve whose points lie at places of an axis; what a chart draws."""

    arrays: Points
    latest: float | None


@dataclass(frozen=True)
class RunCurve:
    """One curve of one run, over its own steps.

    Attributes:
        kind: "natural", "robust", "loss" or "learning rate".
        name: with radius, classifier or phase: "robust 8/255, natural classifier".
    """

    run: ComparedRun
    kind: str
    name: str
    series: Series

    def placed(self, axis: CompareAxis) -> Placed | None:
        """The curve at the places of an axis; None where it is not known where its steps lie."""
        points = self.series.arrays
        places = places_of(self.run, axis, points.x)
        return None if places is None else Placed(replace(points, x=places), self.series.latest)

    def points(self) -> Iterator[dict[str, float | None]]:
        """Each point on every axis, with mean, least and greatest value of the steps that it stands for."""
        x = self.series.arrays.x
        columns: dict[str, Floats | None] = {axis: places_of(self.run, axis, x) for axis in AXES}
        for number, point in enumerate(self.series.points):
            places = {axis: None if found is None else float(found[number]) for axis, found in columns.items()}
            yield {
                **places,
                "mean": point.mean,
                "low": point.low,
                "high": point.high,
                "values": float(point.num_values),
            }


def places_of(run: ComparedRun, axis: CompareAxis, steps: Floats) -> Floats | None:
    """Where steps of a run lie on an axis.

    Args:
        run: whose steps they are.
        axis: what it counts.
        steps: ascending; shape (n,), like what comes back.

    Returns:
        None where the run does not tell.
    """
    timeline = run.state.timeline
    match axis:
        case "step":
            return steps
        case "epoch":
            return timeline.epochs.values(steps) if timeline.epochs.points else None
        case "clock":
            return timeline.clock.values(steps) if timeline.clock.points else None
        case "units":
            return _units(run, timeline.epochs.values(steps)) if _has_units(run) else None


def end_of(run: ComparedRun, axis: CompareAxis) -> float:
    """Where the newest step of a run lies on an axis; 0 where that is not known."""
    places = places_of(run, axis, np.array([float(max(run.state.step, 1))]))
    return 0.0 if places is None else float(places[0])


def curves_of(run: ComparedRun) -> list[RunCurve]:
    """All curves of a run that several runs may share: robust accuracy at each radius, natural, losses, rates."""
    state = run.state
    classifiers = list(dict.fromkeys(key.classifier for key in state.probes))
    found = [
        RunCurve(run, *_probe_name(key.radius, key.classifier if len(classifiers) > 1 else ""), series)
        for key, series in state.probes.items()
    ]
    found += [RunCurve(run, LOSS, f"{key.loss_name} loss, phase {key.phase + 1}", s) for key, s in state.losses.items()]
    return found + [RunCurve(run, RATE, f"learning rate, phase {phase + 1}", s) for phase, s in state.rates.items()]


def radii_of(runs: Sequence[ComparedRun]) -> list[str]:
    """The radii that any of the runs was probed at, in the order of the first run that has them."""
    return list(dict.fromkeys(key.radius for run in runs for key in run.state.probes if key.radius))


def losses_of(runs: Sequence[ComparedRun]) -> list[str]:
    """The losses that any of the runs has logged."""
    return list(dict.fromkeys(key.loss_name for run in runs for key in run.state.losses))


def probe_series(state: RunState, radius: str) -> list[Series]:
    """The curves of probes at a radius, one for each classifier; natural ones where the radius is empty."""
    return [series for key, series in state.probes.items() if key.radius == radius]


def loss_series(state: RunState, name: str) -> list[Series]:
    """The curves of a loss, one for each phase that logged it."""
    return [series for key, series in state.losses.items() if key.loss_name == name]


def placed_series(run: ComparedRun, series: Sequence[Series], axis: CompareAxis) -> list[Placed]:
    """Curves of one run at the places of an axis, as far as those are known."""
    placed = (RunCurve(run, "", "", each).placed(axis) for each in series if each.points)
    return [each for each in placed if each is not None]


def _probe_name(radius: str, classifier: str) -> tuple[str, str]:
    kind = ROBUST if radius else NATURAL
    name = f"{kind} {radius}".rstrip()
    return kind, f"{name}, {classifier} classifier" if classifier else name


def _has_units(run: ComparedRun) -> bool:
    num_phases = len(trained_phases(run.state))
    return num_phases > 0 and len(run.epoch_units) == num_phases and bool(run.state.timeline.epochs.points)


def _units(run: ComparedRun, epochs: Floats) -> Floats:
    """Forward passes an image after so many epochs of all phases together, as their plan spends them."""
    planned = np.array([phase.plan.epochs for phase in trained_phases(run.state)], dtype=np.float64)
    ends = np.concatenate([[0.0], np.cumsum(planned)])
    spent = np.concatenate([[0.0], np.cumsum(planned * np.array(run.epoch_units))])
    placed: Floats = np.interp(epochs, ends, spent)
    return placed
