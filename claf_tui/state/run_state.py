"""The state of one run as the console knows it, and the two things that any event may add: log lines and alerts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from claf_engine import events as ev
from claf_tui.state.series import Series
from claf_tui.words.safe_text import safe

MAX_LOG_LINES = 500
MAX_CHECKPOINTS = 200
MAX_ALERTS = 50

PhaseStatus = Literal["waiting", "active", "done", "stopped", "failed"]


@dataclass(frozen=True)
class PhaseState:
    """How far one phase is.

    Attributes:
        epoch: the current one, from 1.
        num_finished: whole epochs.
        fraction: in [0, 1].
        elapsed: seconds without pauses, like `remaining`.
    """

    plan: ev.PhasePlan
    status: PhaseStatus = "waiting"
    epoch: int = 0
    num_finished: int = 0
    fraction: float = 0.0
    elapsed: float = 0.0
    remaining: float | None = None


class LogLine(NamedTuple):
    """One line of the log; `elapsed` is the run's clock when it was written."""

    level: ev.NoticeLevel
    text: str
    elapsed: float


class Alert(NamedTuple):
    """What a person must not miss: it stays on the screen until it is acknowledged."""

    level: ev.NoticeLevel
    text: str
    run: str
    step: int


class LossKey(NamedTuple):
    """Which loss curve: one per kind of loss and phase."""

    loss_name: str
    phase: int


@dataclass(frozen=True)
class RunState:
    """Everything the console shows of one run.

    Attributes:
        rates: learning rates, by phase.
        before: adversarial accuracy of the attack classifier before each retraining; `after` that.
        one_step: accuracy under the one-step attack of fast training; `multi_step` that under PGD.
        num_log_lines: lines logged in all; `log` holds the newest of them.
        values: live-editable values as they stand, by dotted name.
        alerts: oldest first; whoever shows them remembers which were acknowledged.
    """

    run: ev.RunStarted | None = None
    phases: tuple[PhaseState, ...] = ()
    progress: ev.Progressed | None = None
    control: Literal["running", "paused", "stopping"] = "running"
    elapsed: float = 0.0
    step: int = 0
    learning_rate: float | None = None
    images_per_second: float | None = None
    losses: Mapping[LossKey, Series] = field(default_factory=dict)
    rates: Mapping[int, Series] = field(default_factory=dict)
    before: Series = Series()
    after: Series = Series()
    dissociation: Series = Series()
    one_step: Series = Series()
    multi_step: Series = Series()
    natural: Series = Series()
    robust: Mapping[str, Series] = field(default_factory=dict)
    probe: ev.ProbeFinished | None = None
    retrain: ev.ClassifierRetrained | None = None
    overfitting: ev.OverfittingChecked | None = None
    checkpoints: tuple[ev.CheckpointSaved, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    log: tuple[LogLine, ...] = ()
    num_log_lines: int = 0
    alerts: tuple[Alert, ...] = ()
    finished: ev.RunFinished | None = None
    reproduction: ev.ReproductionChanged | None = None

    @property
    def active_phase(self) -> PhaseState | None:
        """The phase that is going on, if any."""
        return next((phase for phase in self.phases if phase.status == "active"), None)


def status_word(state: RunState, control: str | None = None) -> str:
    """Name what the run is doing: STARTING, RUNNING, PAUSING, PAUSED, STOPPING, FINISHED, STOPPED, FAILED or
    DIVERGED.

    Args:
        state: the folded events.
        control: the status of a live run's `Control`, which knows of a request before any event tells of it.
    """
    if state.finished is not None:
        return state.finished.status.upper()
    current = control or state.control
    if current != "running":
        return current.upper()
    return "STARTING" if state.run is None else "RUNNING"


def log(state: RunState, level: ev.NoticeLevel, text: str) -> RunState:
    """Add one line to the log."""
    lines = (*state.log, LogLine(level, safe(text, 400), state.elapsed))[-MAX_LOG_LINES:]
    return replace(state, log=lines, num_log_lines=state.num_log_lines + 1)


def raise_alert(state: RunState, level: ev.NoticeLevel, text: str, step: int) -> RunState:
    """Log something and keep it on the screen until it is acknowledged."""
    run = safe(state.run.run, 60) if state.run is not None else ""
    alert = Alert(level, safe(text, 400), run, step)
    return replace(log(state, level, text), alerts=(*state.alerts, alert)[-MAX_ALERTS:])
