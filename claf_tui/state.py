"""What the screen draws, as a pure fold over events: `state = reduce(state, event)`.

No Textual and no torch; the same for a live run, a watched one and a replayed one. Every foreign string is cleaned
here, before it reaches a widget. Curves, log and checkpoints are bounded, so a step of the fold costs the same at the
millionth event as at the first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import singledispatch
from typing import Any, Literal, NamedTuple

from claf_engine import events as ev
from claf_tui import figures
from claf_tui.safe_text import safe
from claf_tui.series import Series

MAX_LOG_LINES = 500
RETRAIN = "retrain"
"""The part of a stage-2 epoch whose learning rate is not the phase's own, which a live edit changes."""
MAX_CHECKPOINTS = 200

PhaseStatus = Literal["waiting", "active", "done", "stopped", "failed"]


@dataclass(frozen=True)
class PhaseState:
    """How far one phase is; `fraction` lies in [0, 1], times are seconds without pauses."""

    plan: ev.PhasePlan
    status: PhaseStatus = "waiting"
    epoch: int = 0
    fraction: float = 0.0
    elapsed: float = 0.0
    remaining: float | None = None


class LogLine(NamedTuple):
    """One line of the log; `elapsed` is the run's clock when it was written."""

    level: ev.NoticeLevel
    text: str
    elapsed: float


class LossKey(NamedTuple):
    """Which loss curve: one per kind of loss and phase."""

    loss_name: str
    phase: int


@dataclass(frozen=True)
class RunState:
    """Everything the console shows of one run.

    Attributes:
        num_log_lines: lines logged in all; `log` holds the newest of them.
        values: live-editable values as they stand, by dotted name.
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
    before: Series = Series()
    after: Series = Series()
    dissociation: Series = Series()
    natural: Series = Series()
    robust: Mapping[str, Series] = field(default_factory=dict)
    probe: ev.ProbeFinished | None = None
    retrain: ev.ClassifierRetrained | None = None
    checkpoints: tuple[ev.CheckpointSaved, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    log: tuple[LogLine, ...] = ()
    num_log_lines: int = 0
    finished: ev.RunFinished | None = None
    reproduction: ev.ReproductionChanged | None = None

    @property
    def active_phase(self) -> PhaseState | None:
        """The phase that is going on, if any."""
        return next((phase for phase in self.phases if phase.status == "active"), None)


def reduce(state: RunState, event: ev.Event) -> RunState:
    """Fold one event into the state."""
    return _fold(event, state)


def status_word(state: RunState, control: str | None = None) -> str:
    """Name what the run is doing: STARTING, RUNNING, PAUSING, PAUSED, STOPPING, FINISHED, STOPPED or FAILED.

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


@singledispatch
def _fold(event: Any, state: RunState) -> RunState:
    raise TypeError(f"no event: {event!r} (state at step {state.step})")


@_fold.register
def _run_started(event: ev.RunStarted, state: RunState) -> RunState:
    phases = tuple(PhaseState(plan) for plan in event.phases)
    probe_every = event.config.get("probe", {}).get("every_epochs")
    values = {} if probe_every is None else {"probe.every_epochs": float(probe_every)}
    if event.resumed_from_step is None:
        begun = RunState(
            run=event,
            phases=phases,
            values=values,
            log=state.log,
            num_log_lines=state.num_log_lines,
            reproduction=state.reproduction,
        )
        return log(begun, "info", f"run {event.run}: {event.method} on {event.data}, {event.device}")
    at = event.resumed_from_step
    resumed = replace(
        state,
        run=event,
        phases=phases,
        values=values,
        step=at,
        progress=None,
        finished=None,
        control="running",
        losses={key: series.until(at) for key, series in state.losses.items()},
        robust={key: series.until(at) for key, series in state.robust.items()},
        natural=state.natural.until(at),
        before=state.before.until(at),
        after=state.after.until(at),
        dissociation=state.dissociation.until(at),
    )
    return log(resumed, "info", f"run {event.run} goes on from step {figures.count(at)}")


@_fold.register
def _phase_started(event: ev.PhaseStarted, state: RunState) -> RunState:
    def place(index: int, phase: PhaseState) -> PhaseState:
        if index < event.phase:
            return replace(phase, status="done", fraction=1.0, epoch=phase.plan.epochs, remaining=None)
        if index > event.phase:
            return replace(phase, status="waiting")
        return replace(phase, status="active", epoch=max(phase.epoch, event.epoch))

    phases = tuple(place(index, phase) for index, phase in enumerate(state.phases))
    title = phases[event.phase].plan.title if event.phase < len(phases) else event.name
    return log(replace(state, phases=phases), "info", f"phase begins: {title}")


@_fold.register
def _progressed(event: ev.Progressed, state: RunState) -> RunState:
    phases = _with_phase(
        state,
        event.phase,
        epoch=event.epoch,
        fraction=event.phase_fraction,
        elapsed=event.phase_elapsed,
        remaining=event.phase_remaining,
    )
    return replace(
        state,
        phases=phases,
        progress=event,
        elapsed=event.elapsed,
        step=event.step,
        images_per_second=event.images_per_second,
    )


@_fold.register
def _step_logged(event: ev.StepLogged, state: RunState) -> RunState:
    key = LossKey(event.loss_name, event.phase)
    losses = {**state.losses, key: state.losses.get(key, Series()).append(event.step, event.loss)}
    state = replace(
        state,
        losses=losses,
        step=event.step,
        learning_rate=state.learning_rate if event.part == RETRAIN else event.learning_rate,
        elapsed=max(state.elapsed, event.elapsed),
    )
    if state.progress is not None:
        return state
    return replace(
        state,
        images_per_second=event.images_per_second,
        phases=_with_phase(state, event.phase, epoch=event.epoch, fraction=_fraction_of_plan(state, event)),
    )


@_fold.register
def _epoch_finished(event: ev.EpochFinished, state: RunState) -> RunState:
    phases = _with_phase(state, event.phase, epoch=event.epoch)
    if state.progress is None and event.phase < len(phases):
        elapsed = phases[event.phase].elapsed + event.seconds
        phases = _with_phase(replace(state, phases=phases), event.phase, elapsed=elapsed)
    return replace(state, phases=phases)


@_fold.register
def _retrained(event: ev.ClassifierRetrained, state: RunState) -> RunState:
    return replace(
        state,
        before=state.before.append(event.step, event.before),
        after=state.after.append(event.step, event.after),
        retrain=event,
    )


@_fold.register
def _dissociated(event: ev.DissociationMeasured, state: RunState) -> RunState:
    return replace(state, dissociation=state.dissociation.append(event.step, event.dissociation))


@_fold.register
def _probed(event: ev.ProbeFinished, state: RunState) -> RunState:
    robust = dict(state.robust)
    for item in event.robust:
        name = safe(item.epsilon, 12)
        robust[name] = robust.get(name, Series()).append(event.step, item.accuracy)
    state = replace(state, natural=state.natural.append(event.step, event.natural), robust=robust, probe=event)
    robust_text = "".join(f", {item.epsilon} {figures.percent(item.accuracy)}" for item in event.robust)
    asked = "probe you asked for" if event.requested else "probe"
    text = f"{asked}, {event.classifier} classifier: natural {figures.percent(event.natural)}{robust_text}"
    return log(state, "info", text)


@_fold.register
def _saved(event: ev.CheckpointSaved, state: RunState) -> RunState:
    state = replace(state, checkpoints=(*state.checkpoints, event)[-MAX_CHECKPOINTS:])
    kept = ", ".join(event.kept_as) or "recent"
    text = f"checkpoint at step {figures.count(event.step)}: {kept}, {figures.size(event.num_bytes)}"
    return log(state, "info", text)


@_fold.register
def _control_changed(event: ev.ControlChanged, state: RunState) -> RunState:
    if event.status == "resumed":
        return log(
            replace(state, control="running"), "info", f"goes on after {figures.duration(event.waited)} of pause"
        )
    text = "paused" if event.status == "paused" else "stopping: finishes the step and saves"
    return log(replace(state, control=event.status), "info", f"{text}, step {figures.count(event.step)}")


@_fold.register
def _edited(event: ev.ValueEdited, state: RunState) -> RunState:
    state = replace(state, values={**state.values, event.name: event.new})
    return log(state, "info", f"{event.name}: {figures.figure(event.old)} → {figures.figure(event.new)}")


@_fold.register
def _overfitting_checked(event: ev.OverfittingChecked, state: RunState) -> RunState:
    figures_text = f"one step {figures.percent(event.single_step)}, PGD {figures.percent(event.multi_step)}"
    if event.has_collapsed:
        best = figures.percent(event.best)
        return log(state, "error", f"catastrophic overfitting in epoch {event.epoch}: {figures_text}, best was {best}")
    return log(state, "info", f"epoch {event.epoch}: {figures_text}")


@_fold.register
def _reproduced(event: ev.ReproductionChanged, state: RunState) -> RunState:
    return replace(state, reproduction=event)


@_fold.register
def _noticed(event: ev.Notice, state: RunState) -> RunState:
    return log(state, event.level, event.text)


@_fold.register
def _finished(event: ev.RunFinished, state: RunState) -> RunState:
    ended: dict[str, PhaseStatus] = {"finished": "done", "stopped": "stopped", "failed": "failed"}
    status = ended.get(event.status, "stopped")
    phases = tuple(
        replace(phase, status=status, fraction=1.0 if status == "done" else phase.fraction, remaining=None)
        if phase.status == "active"
        else phase
        for phase in state.phases
    )
    state = replace(state, phases=phases, finished=event, elapsed=max(state.elapsed, event.elapsed))
    reason = f": {event.reason}" if event.reason else ""
    return log(state, "error" if event.status == "failed" else "info", f"run {event.status}{reason}")


def _with_phase(state: RunState, index: int, **changes: Any) -> tuple[PhaseState, ...]:
    if not 0 <= index < len(state.phases):
        return state.phases
    changed = replace(state.phases[index], **changes)
    return (*state.phases[:index], changed, *state.phases[index + 1 :])


def _fraction_of_plan(state: RunState, event: ev.StepLogged) -> float:
    """How far a phase is by its planned steps, for a run directory, which holds no `Progressed`."""
    if not 0 <= event.phase < len(state.phases):
        return 0.0
    done_before = sum(phase.plan.steps for phase in state.phases[: event.phase])
    planned = max(1, state.phases[event.phase].plan.steps)
    return min(1.0, max(0.0, (event.step - done_before) / planned))
