"""In which order a list shows runs. Pure, no Textual."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from claf_engine.runs.overview import Overview

Column = Literal["age", "state", "name", "method", "data", "progress", "natural", "robust"]
COLUMNS: tuple[Column, ...] = get_args(Column)
STATES = ("running", "starting", "stopping", "paused", "interrupted", "diverged", "failed", "stopped", "finished")
"""The order of states: what needs a person comes first."""


@dataclass(frozen=True)
class Order:
    """By which column runs are sorted; figures begin with the highest, ages with the newest, texts with a.

    Sorted by age, live runs come first.
    """

    column: Column = "age"
    is_reversed: bool = False


def ordered(runs: Iterable[Overview], order: Order) -> list[Overview]:
    """Sort runs; those of which a figure is not known come last, and equal ones begin with the newest."""
    newest = sorted(runs, key=_newest, reverse=True)
    if order.column == "age":
        newest = newest[::-1] if order.is_reversed else newest
        return sorted(newest, key=lambda run: not run.is_live)
    key, is_falling = _KEYS[order.column]
    known = [run for run in newest if key(run) is not None]
    known.sort(key=key, reverse=is_falling is not order.is_reversed)
    return [*known, *(run for run in newest if key(run) is None)]


def _newest(run: Overview) -> tuple[float, str]:
    return run.digest.begun, run.name


def _state(run: Overview) -> tuple[int, str]:
    return (STATES.index(run.status) if run.status in STATES else len(STATES)), run.status


_KEYS: dict[str, tuple[Callable[[Overview], Any], bool]] = {
    "state": (_state, False),
    "name": (lambda run: run.name.split("-", 2)[-1].lower(), False),
    "method": (lambda run: run.digest.method or None, False),
    "data": (lambda run: run.digest.data or None, False),
    "progress": (lambda run: run.digest.fraction, True),
    "natural": (lambda run: run.measured.natural, True),
    "robust": (lambda run: run.robust, True),
}
"""What each column sorts by, and whether the largest comes first."""
