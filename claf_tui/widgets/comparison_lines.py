"""Which curves the charts of a comparison show, as pure functions of its runs."""

from collections.abc import Callable, Sequence

from claf_tui.charts.plot import DASHES, ChartLine
from claf_tui.state.compared_run import ComparedRun
from claf_tui.state.comparison_curves import CompareAxis, loss_series, placed_series, probe_series
from claf_tui.state.run_state import RunState
from claf_tui.state.series import Series
from claf_tui.words.run_colors import RUN_COLORS


def robust_lines(runs: Sequence[ComparedRun], radius: str, axis: CompareAxis) -> list[ChartLine]:
    """Robust accuracy at a radius, on validation images; nothing where there is none."""
    return _lines(runs, axis, lambda state: probe_series(state, radius)) if radius else []


def natural_lines(runs: Sequence[ComparedRun], axis: CompareAxis) -> list[ChartLine]:
    """Natural accuracy on validation images."""
    return _lines(runs, axis, lambda state: probe_series(state, ""))


def shared_loss_lines(runs: Sequence[ComparedRun], name: str, axis: CompareAxis) -> list[ChartLine]:
    """A loss, as far as runs have logged it."""
    return _lines(runs, axis, lambda state: loss_series(state, name))


def _lines(runs: Sequence[ComparedRun], axis: CompareAxis, pick: Callable[[RunState], list[Series]]) -> list[ChartLine]:
    """A colour, a kind of dashes and a letter for each run, which stay the same in all charts."""
    found = []
    for number, run in enumerate(runs):
        placed = placed_series(run, pick(run.state), axis)
        color, dash = RUN_COLORS[number % len(RUN_COLORS)], number % len(DASHES)
        found += [
            ChartLine(run.key, color, curve, dash, tag=run.key if place == len(placed) - 1 else "")
            for place, curve in enumerate(placed)
        ]
    return found
