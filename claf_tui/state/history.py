"""What happened to a run beside its curves, in the words of the log: phases, edits, alerts, requests. No Textual."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from claf_engine import events as ev
from claf_tui.state.folds import reduce
from claf_tui.state.other_run import events_so_far
from claf_tui.state.run_state import RunState

Kind = Literal["start", "phase", "edit", "best", "alert", "warning", "control", "request", "end"]

MAX_HAPPENINGS = 400
"""The newest of them."""


@dataclass(frozen=True)
class Happening:
    """One of them.

    Attributes:
        step: optimiser steps taken by then.
        elapsed: seconds since the run began, pauses left out.
        text: as the log says it, cleaned.
    """

    step: int
    elapsed: float
    kind: Kind
    text: str


@dataclass(frozen=True)
class History:
    """What happened, oldest first, and how many more there were before."""

    happenings: tuple[Happening, ...] = ()
    num_left_out: int = 0


def read_history(directory: Path) -> History:
    """Read the journal of a run once more for what is no curve.

    Raises:
        ForeignFileError: a file of it is no regular file, or cannot be read.
    """
    state, found, count = RunState(), deque[Happening](maxlen=MAX_HAPPENINGS), 0
    for event in events_so_far(directory):
        before = state.num_log_lines
        state = reduce(state, event)
        kind = kind_of(event)
        if kind is not None and state.num_log_lines > before:
            count += 1
            found.append(Happening(getattr(event, "step", 0) or state.step, state.elapsed, kind, state.log[-1].text))
    return History(tuple(found), count - len(found))


def kind_of(event: ev.Event) -> Kind | None:
    """What kind of a happening an event is; None for one that belongs to a curve, or to the log alone."""
    match event:
        case ev.RunStarted():
            return "start"
        case ev.PhaseStarted():
            return "phase"
        case ev.ValueEdited():
            return "edit"
        case ev.Alert() | ev.Notice(level="error"):
            return "alert"
        case ev.Notice(level="warning"):
            return "warning"
        case ev.CheckpointSaved(kept_as=kept) if "best" in kept:
            return "best"
        case ev.ControlChanged() | ev.ThreadsChanged():
            return "control"
        case ev.RequestServed():
            return "request"
        case ev.RunFinished():
            return "end"
    return None
