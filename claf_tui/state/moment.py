"""What a screen needs to know of the clock, beside the state; how far the run is, and what is left."""

from dataclasses import dataclass

from claf_tui.state import RunState
from claf_tui.words import figures


@dataclass(frozen=True)
class Moment:
    """What screens need besides the state.

    Attributes:
        word: the status word.
        frame: which picture of the spinner is shown.
        waited: seconds since the console began.
        now: wall clock, seconds since the epoch.
    """

    word: str = "STARTING"
    frame: int = 0
    waited: float = 0.0
    now: float = 0.0


def run_fraction(state: RunState) -> float:
    """How far the run is: as the engine says, or by the planned steps of its phases."""
    if state.finished is not None and state.finished.status == "finished":
        return 1.0
    if state.progress is not None:
        return state.progress.run_fraction
    planned = sum(phase.plan.steps for phase in state.phases)
    return sum(phase.plan.steps * phase.fraction for phase in state.phases) / planned if planned else 0.0


def time_left(remaining: float | None, moment: Moment) -> str:
    """Write what is left of some work; while it waits, only how long it takes, because nobody knows when it ends."""
    if moment.word in {"PAUSED", "PAUSING"} and remaining is not None:
        return f"~{figures.duration(remaining)} left"
    return figures.time_left(remaining, moment.now)
