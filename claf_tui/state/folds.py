"""How each event changes the state: one function for each kind."""

from dataclasses import replace
from functools import singledispatch
from typing import Any

from claf_engine import events as ev
from claf_engine.events.control import LIVE_NAMES, PHASE_EPOCHS, PHASE_TEMPERATURES
from claf_tui.state.run_state import (
    MAX_CHECKPOINTS,
    MAX_PROBES,
    MAX_RECORDS,
    Happening,
    LossKey,
    PhaseState,
    PhaseStatus,
    ProbeKey,
    Record,
    RunState,
    end_alert,
    happened,
    log,
    mark,
    raise_alert,
)
from claf_tui.state.series import Series
from claf_tui.state.timeline import Timeline
from claf_tui.words import attack_words, figures
from claf_tui.words.live_values import edit_text, value_text, values_of
from claf_tui.words.safe_text import safe

RETRAINING = {"retrain", "replay"}
"""The parts of a stage-2 epoch whose learning rate is not the phase's own, which a live edit changes."""

LIVE_SETTINGS = (*(name for name in LIVE_NAMES if "." in name), *dict.fromkeys(PHASE_TEMPERATURES.values()))
"""Settings that may change while a run goes on."""
MAX_EPOCHS = 10**9
"""No phase has so many."""
KEPT_BETWEEN_RUNS = ("log", "num_log_lines", "reproduction")


def reduce(state: RunState, event: ev.Event) -> RunState:
    """Fold one event into the state."""
    return _fold(event, state)


@singledispatch
def _fold(event: Any, state: RunState) -> RunState:
    raise TypeError(f"no event: {event!r} (state at step {state.step})")


@_fold.register
def _run_started(event: ev.RunStarted, state: RunState) -> RunState:
    phases = tuple(PhaseState(plan) for plan in event.phases)
    values = values_of(event.config, LIVE_SETTINGS)
    if event.resumed_from_step is None or state.run is None or state.run.run != event.run:
        kept = {name: getattr(state, name) for name in KEPT_BETWEEN_RUNS}
        state = RunState(**kept, alerts=tuple(alert for alert in state.alerts if alert.run != safe(event.run, 60)))
    if event.resumed_from_step is None:
        begun = replace(state, run=event, phases=phases, values=values)
        return log(begun, "info", f"run {event.run}: {event.method} on {event.data}, {event.device}")
    resumed = replace(
        _until(state, event.resumed_from_step),
        run=event,
        phases=phases,
        values=values,
        finished=None,
        control="running",
    )
    return log(resumed, "info", f"run {event.run} goes on from step {figures.count(event.resumed_from_step)}")


@_fold.register
def _phase_started(event: ev.PhaseStarted, state: RunState) -> RunState:
    def place(index: int, phase: PhaseState) -> PhaseState:
        if index < event.phase:
            return _completed(phase)
        if index > event.phase:
            return replace(phase, status="waiting")
        return replace(phase, status="active", epoch=max(phase.epoch, event.epoch), num_finished=event.epoch)

    for phase in state.phases[: event.phase]:
        if _was_cut_short(phase):
            text = f"{phase.plan.title} ended early, after {phase.num_finished} of {phase.plan.epochs} epochs"
            state = log(state, "warning", text)
    phases = tuple(place(index, phase) for index, phase in enumerate(state.phases))
    title = phases[event.phase].plan.title if 0 <= event.phase < len(phases) else event.name
    state = replace(state, phases=phases, timeline=_at_epoch(state, event.phase, event.epoch))
    state = mark(state, state.step, "phase") if state.step else state
    return log(state, "info", f"phase begins: {title}")


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
    elapsed = max(state.elapsed, event.elapsed)
    timeline = replace(state.timeline, clock=state.timeline.clock.append(event.step, elapsed))
    state = replace(state, losses=losses, step=event.step, elapsed=elapsed, timeline=timeline)
    if event.part not in RETRAINING:
        rate = state.rates.get(event.phase, Series()).append(event.step, event.learning_rate)
        state = replace(state, learning_rate=event.learning_rate, rates={**state.rates, event.phase: rate})
    if state.progress is not None:
        return state
    return replace(
        state,
        images_per_second=event.images_per_second,
        phases=_with_phase(state, event.phase, epoch=event.epoch, fraction=_fraction_of_plan(state, event)),
    )


@_fold.register
def _epoch_finished(event: ev.EpochFinished, state: RunState) -> RunState:
    phases = _with_phase(state, event.phase, epoch=event.epoch, num_finished=event.epoch)
    state = replace(state, step=max(state.step, event.step))
    state = replace(state, timeline=_at_epoch(state, event.phase, event.epoch))
    if state.progress is None and 0 <= event.phase < len(phases):
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
    figures_by_radius = {"": event.natural}
    figures_by_radius |= {attack_words.ball_radius(item): item.accuracy for item in event.robust}
    probes = dict(state.probes)
    for radius, accuracy in figures_by_radius.items():
        key = ProbeKey(safe(event.classifier, 20), radius)
        probes[key] = probes.get(key, Series()).append(event.step, accuracy)
    recent = (*state.recent_probes, event)[-MAX_PROBES:]
    state = _with_record(replace(state, probes=probes, recent_probes=recent), event)
    robust_text = "".join(f", {attack_words.radius(item)} {figures.percent(item.accuracy)}" for item in event.robust)
    asked = "probe you asked for" if event.requested else "probe"
    warning = attack_words.caveat(event.robust)
    text = f"{asked}, {safe(event.classifier, 20)} classifier: natural {figures.percent(event.natural)}{robust_text}"
    text += "" if event.selection is None else f", {figures.percent(event.selection)} under the stronger attack"
    text += f" · {warning}" if warning else ""
    return log(state, "info", text)


def _with_record(state: RunState, event: ev.ProbeFinished) -> RunState:
    """Remember a probe that is better than all before it."""
    best = state.best
    if not event.robust or (best is not None and event.robust[0].accuracy <= best.accuracy):
        return state
    radius, accuracy = attack_words.ball_radius(event.robust[0]), event.robust[0].accuracy
    record = Record(event.step, event.epoch, safe(event.classifier, 20), radius, accuracy)
    return replace(state, records=(*state.records, record)[-MAX_RECORDS:])


@_fold.register
def _saved(event: ev.CheckpointSaved, state: RunState) -> RunState:
    state = replace(state, checkpoints=(*state.checkpoints, event)[-MAX_CHECKPOINTS:])
    if "best" in event.kept_as:
        state = mark(state, event.step, "best")
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
def _request_served(event: ev.RequestServed, state: RunState) -> RunState:
    """Between an accepted pause or stop and the moment when it comes, the run is on its way there."""
    if event.is_accepted and event.request in ("pause", "stop") and state.control == "running":
        state = replace(state, control="pausing" if event.request == "pause" else "stopping")
    elif event.is_accepted and event.request == "resume" and state.control == "pausing":
        state = replace(state, control="running")
    if event.request.startswith(("pause", "resume", "stop")):
        text = safe(event.request, 60) if event.is_accepted else f"{safe(event.request, 60)}: refused"
        state = happened(state, Happening(event.step, state.elapsed, "request", text, safe(event.who, 80), event.at))
    verdict = "accepted" if event.is_accepted else "refused"
    asked = f"{safe(event.request, 60)}, asked by {safe(event.who, 80)}{figures.moment(event.at, ' at ')}"
    return log(state, "info" if event.is_accepted else "warning", f"{asked}: {verdict}, {safe(event.answer, 200)}")


@_fold.register
def _edited(event: ev.ValueEdited, state: RunState) -> RunState:
    new = safe(event.new, 60) if isinstance(event.new, str) else event.new
    changes = {**state.values, event.name: new}
    state = replace(state, values=changes, phases=_with_epochs(state, event))
    note = Happening(
        event.step, state.elapsed, "edit", edit_text(event.name, event.old, event.new), who=safe(event.who, 80)
    )
    state = happened(state, replace(note, at=event.at))
    state = mark(state, event.step, "edit", edit_text(event.name, event.old, event.new))
    who = f", by {safe(event.who, 80)}" if event.who else ""
    return log(state, "info", f"{event.name}: {value_text(event.old)} → {value_text(event.new)}{who}")


@_fold.register
def _threads_changed(event: ev.ThreadsChanged, state: RunState) -> RunState:
    run = None if state.run is None else replace(state.run, threads=event.new)
    return log(replace(state, run=run), "info", threads_text(event))


def threads_text(event: ev.ThreadsChanged) -> str:
    """Say on how many threads a run goes on, why, and what that does to its numbers."""
    why = "others use the cores" if event.new < event.old else "cores are free again"
    free = f"{event.free:.1f} cores for this run"
    return f"{why} ({free}): goes on with {figures.threads(event.new)} instead of {event.old}, in other last bits"


def _with_epochs(state: RunState, event: ev.ValueEdited) -> tuple[PhaseState, ...]:
    """The phases, of which the active one may have another length from now on."""
    active = state.active_phase
    is_length = active is not None and PHASE_EPOCHS.get(active.plan.name) == event.name
    if active is None or not is_length or isinstance(event.new, str) or not 0 < event.new < MAX_EPOCHS:
        return state.phases
    epochs = int(event.new)
    steps = round(active.plan.steps * epochs / max(1, active.plan.epochs))
    plan = replace(active.plan, epochs=epochs, steps=steps)
    return tuple(replace(phase, plan=plan) if phase is active else phase for phase in state.phases)


@_fold.register
def _overfitting_checked(event: ev.OverfittingChecked, state: RunState) -> RunState:
    """While a collapse lasts, every check is an error of the log; that it begins is an alert of its own."""
    state = replace(
        state,
        one_step=state.one_step.append(event.step, event.single_step),
        multi_step=state.multi_step.append(event.step, event.multi_step),
        overfitting=event,
    )
    warning = attack_words.training_caveat(state.run.config) if state.run is not None else ""
    suffix = f" · {warning}" if warning else ""
    one_step, multi_step = figures.percent(event.single_step), figures.percent(event.multi_step)
    collapsed = "collapsed, " if event.has_collapsed else ""
    text = f"epoch {event.epoch}: {collapsed}one-step attack {one_step}, PGD {multi_step}{suffix}"
    return log(state, "error" if event.has_collapsed else "info", text)


@_fold.register
def _sentinels_checked(event: ev.SentinelsChecked, state: RunState) -> RunState:
    text = f"sentinels on {event.num_examples} images: natural {figures.percent(event.natural)}, "
    text += f"radius 0 {figures.percent(event.radius_zero)}"
    if event.epsilon:
        radius = attack_words.radius_text(event.epsilon, event.norm, event.space, attack_words.LAST, event.notice)
        text += f"; {radius}: FGSM {figures.percent(event.one_step)}, "
        text += f"PGD {figures.percent(event.multi_step)}, cross-entropy {figures.percent(event.cross_entropy)}, "
        text += f"margin {figures.percent(event.margin)}"
    return log(state, "info", text)


@_fold.register
def _alerted(event: ev.Alert, state: RunState) -> RunState:
    """Alert, unless the same alert is there already: a resumed run sends those that stand once more."""
    alerted = raise_alert(state, event.level, event.text, event.step, event.name)
    return state if alerted.alerts[-1] in state.alerts else alerted


@_fold.register
def _alert_ended(event: ev.AlertEnded, state: RunState) -> RunState:
    """Take the alert off the screen; the history keeps it."""
    return log(end_alert(state, safe(event.name, 40), event.step), "info", event.text)


@_fold.register
def _reproduced(event: ev.ReproductionChanged, state: RunState) -> RunState:
    return replace(state, reproduction=event)


@_fold.register
def _audited(_event: ev.AuditStarted | ev.DiagnosticFound | ev.AuditFinished, state: RunState) -> RunState:
    """Nothing of a run: `state.audit` folds these."""
    return state


@_fold.register
def _noticed(event: ev.Notice, state: RunState) -> RunState:
    if event.level == "error":
        return raise_alert(state, event.level, event.text, event.step)
    return log(state, event.level, event.text)


@_fold.register
def _finished(event: ev.RunFinished, state: RunState) -> RunState:
    ended: dict[str, PhaseStatus] = {"finished": "done", "stopped": "stopped", "failed": "failed", "diverged": "failed"}
    status = ended.get(event.status, "stopped")
    phases = tuple(
        replace(phase, status=status, fraction=1.0 if status == "done" else phase.fraction, remaining=None)
        if phase.status == "active"
        else phase
        for phase in state.phases
    )
    state = replace(state, phases=phases, finished=event, elapsed=max(state.elapsed, event.elapsed))
    reason = f": {event.reason}" if event.reason else ""
    level: ev.NoticeLevel = "error" if event.has_failed else "info"
    text = f"run {event.status}{reason}"
    end = Happening(event.step, state.elapsed, safe(event.status, 20), safe(text, 400), level=level, ended=event.step)
    return log(happened(state, end), level, text)


def _until(state: RunState, step: int) -> RunState:
    """Take back what was drawn after a step: a resumed run takes those steps again."""
    run = safe(state.run.run, 60) if state.run is not None else ""
    timeline = state.timeline.until(step)
    return replace(
        state,
        step=step,
        elapsed=timeline.clock.points[-1][1] if timeline.clock.points else 0.0,
        progress=None,
        losses={key: series.until(step) for key, series in state.losses.items()},
        rates={key: series.until(step) for key, series in state.rates.items()},
        probes={key: kept for key, series in state.probes.items() if (kept := series.until(step)).points},
        records=tuple(one for one in state.records if one.step <= step),
        marks=tuple(one for one in state.marks if one.step <= step),
        timeline=timeline,
        recent_probes=tuple(one for one in state.recent_probes if one.step <= step),
        before=state.before.until(step),
        after=state.after.until(step),
        dissociation=state.dissociation.until(step),
        one_step=state.one_step.until(step),
        multi_step=state.multi_step.until(step),
        overfitting=state.overfitting if state.overfitting and state.overfitting.step <= step else None,
        alerts=tuple(alert for alert in state.alerts if alert.run != run or alert.step <= step),
        history=tuple(one for one in state.history if one.step <= step),
    )


def _at_epoch(state: RunState, phase: int, num_finished: int) -> Timeline:
    """Learn how many epochs of all phases together were finished at this step."""
    before = sum(item.plan.epochs for item in state.phases[:phase])
    return replace(state.timeline, epochs=state.timeline.epochs.append(state.step, before + num_finished))


def _completed(phase: PhaseState) -> PhaseState:
    """A phase that another one follows; one that was cut short keeps the epochs it came to."""
    if phase.status == "stopped" or _was_cut_short(phase):
        return replace(phase, status="stopped", epoch=phase.num_finished, remaining=None)
    return replace(phase, status="done", fraction=1.0, epoch=phase.plan.epochs, remaining=None)


def _was_cut_short(phase: PhaseState) -> bool:
    return phase.status == "active" and 0 < phase.num_finished < phase.plan.epochs


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
