"""The state of one run as the console knows it, and the two things that any event may add: log lines and alerts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from claf_engine import events as ev
from claf_engine.events.control import (
    EPOCHS_LEFT,
    LEARNING_RATE,
    LIVE_NAMES,
    PHASE_EPOCHS,
    PHASE_TEMPERATURES,
    TEMPERATURE,
    Value,
)
from claf_tui.state.series import Series
from claf_tui.state.timeline import Timeline
from claf_tui.words import attack_words
from claf_tui.words.safe_text import safe

MAX_LOG_LINES = 500
MAX_CHECKPOINTS = 200
MAX_ALERTS = 50
MAX_MARKS = 500
MAX_RECORDS = 200
MAX_PROBES = 50
MAX_HISTORY = 200

PhaseStatus = Literal["waiting", "active", "done", "stopped", "failed"]
MarkKind = Literal["phase", "edit", "best", "alert"]


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
    name: str = ""


@dataclass(frozen=True)
class Happening:
    """One line of the history of alerts and edits.

    Attributes:
        elapsed: the run's clock.
        kind: "edit", "request", or the name of an alert.
        who: asked for it, where a person did.
        at: when, in seconds since the epoch; 0 where the record does not say.
        level: of an alert.
        ended: the step at which an alert was over; None while it stands.
    """

    step: int
    elapsed: float
    kind: str
    text: str
    who: str = ""
    at: float = 0.0
    level: ev.NoticeLevel = "info"
    ended: int | None = None

    @property
    def is_active(self) -> bool:
        """Whether it is an alert that stands."""
        return self.kind not in ("edit", "request") and self.ended is None


class Mark(NamedTuple):
    """Something that happened at a step and that charts show below their axis; with a text, by a line as well."""

    step: int
    kind: MarkKind
    text: str = ""


class Record(NamedTuple):
    """A probe whose robust accuracy at its first radius, in [0, 1], was higher than in any before by its classifier."""

    step: int
    epoch: int
    classifier: str
    radius: str
    accuracy: float


class ProbeKey(NamedTuple):
    """Which curve of probes: one for each classifier and radius; the radius of natural accuracy is empty."""

    classifier: str
    radius: str


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
        probes: natural and robust accuracy, in the order in which classifiers and radii were first probed.
        records: the best probes so far, oldest first.
        recent_probes: oldest first, so that a resumed run knows the one before its checkpoint.
        marks: what happened when, newest last.
        num_log_lines: lines logged in all; `log` holds the newest of them.
        values: live-editable values as they stand, by dotted name.
        alerts: those that stand, oldest first; whoever shows them remembers which were acknowledged.
        history: alerts and what people asked for, oldest first; `num_happened` counts all that there ever were.
    """

    run: ev.RunStarted | None = None
    phases: tuple[PhaseState, ...] = ()
    progress: ev.Progressed | None = None
    control: Literal["running", "pausing", "paused", "stopping"] = "running"
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
    probes: Mapping[ProbeKey, Series] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    marks: tuple[Mark, ...] = ()
    timeline: Timeline = Timeline()
    recent_probes: tuple[ev.ProbeFinished, ...] = ()
    retrain: ev.ClassifierRetrained | None = None
    overfitting: ev.OverfittingChecked | None = None
    checkpoints: tuple[ev.CheckpointSaved, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)
    log: tuple[LogLine, ...] = ()
    num_log_lines: int = 0
    alerts: tuple[Alert, ...] = ()
    history: tuple[Happening, ...] = ()
    num_happened: int = 0
    finished: ev.RunFinished | None = None
    reproduction: ev.ReproductionChanged | None = None

    @property
    def active_phase(self) -> PhaseState | None:
        """The phase that is going on, if any."""
        return next((phase for phase in self.phases if phase.status == "active"), None)

    @property
    def probe(self) -> ev.ProbeFinished | None:
        """The latest probe, if any."""
        return self.recent_probes[-1] if self.recent_probes else None

    @property
    def best(self) -> Record | None:
        """The best probe by the classifier of the latest one, at its first radius; other figures do not compare."""
        if self.probe is None or not self.probe.robust:
            return None
        compared = safe(self.probe.classifier, 20), attack_words.ball_radius(self.probe.robust[0])
        comparable = (one for one in self.records if (one.classifier, one.radius) == compared)
        return max(comparable, key=lambda one: one.accuracy, default=None)


def status_word(state: RunState, control: str | None = None) -> str:
    """Name what the run is doing: STARTING, RUNNING, PAUSING, PAUSED, STOPPING, FINISHED, STOPPED, FAILED or
    DIVERGED; or ASKED, while another process has not answered.

    Args:
        state: the folded events.
        control: what takes the requests of a person says, which knows of one before any event tells of it.
    """
    if state.finished is not None:
        return state.finished.status.upper()
    current = control or state.control
    if current != "running":
        return current.upper()
    return "STARTING" if state.run is None else "RUNNING"


def mark(state: RunState, step: int, kind: MarkKind, text: str = "") -> RunState:
    """Note that something happened at a step."""
    return replace(state, marks=(*state.marks, Mark(step, kind, text))[-MAX_MARKS:])


def live_values(state: RunState) -> dict[str, Value | None]:
    """The values that a person may edit now, as they stand, by the names that edits have."""
    phase = state.active_phase
    values: dict[str, Value | None] = {LEARNING_RATE: state.learning_rate}
    if phase is not None and (temperature := state.values.get(PHASE_TEMPERATURES.get(phase.plan.name, ""))):
        values[TEMPERATURE] = temperature
    if phase is not None and phase.plan.name in PHASE_EPOCHS:
        values[EPOCHS_LEFT] = float(phase.plan.epochs - phase.num_finished)
    settings: dict[str, Value | None] = {name: state.values.get(name) for name in LIVE_NAMES if "." in name}
    settings["checkpoint.every_steps"] = state.values.get("checkpoint.every_steps", "none")
    return values | settings


def log(state: RunState, level: ev.NoticeLevel, text: str) -> RunState:
    """Add one line to the log."""
    lines = (*state.log, LogLine(level, safe(text, 400), state.elapsed))[-MAX_LOG_LINES:]
    return replace(state, log=lines, num_log_lines=state.num_log_lines + 1)


def happened(state: RunState, what: Happening) -> RunState:
    """Add one line to the history."""
    return replace(state, history=(*state.history, what)[-MAX_HISTORY:], num_happened=state.num_happened + 1)


def end_alert(state: RunState, name: str, step: int) -> RunState:
    """Take an alert off the screen that is over, and note in the history when that was."""
    history = tuple(replace(one, ended=step) if one.kind == name and one.is_active else one for one in state.history)
    return replace(state, history=history, alerts=tuple(one for one in state.alerts if one.name != name))


def raise_alert(state: RunState, level: ev.NoticeLevel, text: str, step: int, name: str = "") -> RunState:
    """Log something and keep it on the screen until it is acknowledged, or over."""
    run = safe(state.run.run, 60) if state.run is not None else ""
    alert = Alert(level, safe(text, 400), run, step, safe(name, 40))
    if name:
        state = happened(state, Happening(step, state.elapsed, alert.name, alert.text, level=level))
    state = mark(state, step, "alert") if step else state
    return replace(log(state, level, text), alerts=(*state.alerts, alert)[-MAX_ALERTS:])
