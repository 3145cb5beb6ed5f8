"""Plays the phases of a run and serves the person who steers it.

Phases yield ticks; here they become events. A pulse is where a run may wait; a boundary is where it may also be probed,
saved or left, because the state is consistent there.
"""

import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from claf_engine import events as ev
from claf_engine.accuracy.crossing import both_steps
from claf_engine.accuracy.measure import Accuracy, num_not_finite
from claf_engine.accuracy.suite import suite_of
from claf_engine.events.control import LEARNING_RATE, WAITING, Control, LiveEdit, Requests
from claf_engine.events.ticks import Boundary, PartEnd, Pulse, Tick, pump
from claf_engine.runs import RunDirectory
from claf_engine.runs.alerting import changes, reminders
from claf_engine.runs.examples import write_examples
from claf_engine.runs.inbox import Received
from claf_engine.runs.journal import Journal
from claf_engine.runs.requests import this_process
from claf_engine.terms.errors import CheckpointError, ClafError, ConfigError, NonFiniteLoss, ProcessLost
from claf_engine.training import saving
from claf_engine.training.alarms import watched_overfitting
from claf_engine.training.fitting_threads import FIT_SECONDS, FittingThreads
from claf_engine.training.live_edits import Trained, change_of
from claf_engine.training.methods import feature_epochs, phases_of
from claf_engine.training.phase import Phase
from claf_engine.training.probe import Probed, probe_steps, tell
from claf_engine.training.progress import (
    PROBE,
    PROGRESS_SECONDS,
    STATUS_SECONDS,
    TEST,
    WATCH,
    Pace,
    is_probe_due,
    kind_of,
)
from claf_engine.training.results import candidates, select
from claf_engine.training.selection import selection_rule
from claf_engine.training.session import Session
from claf_engine.training.steering import INBOX_SECONDS, Standing, served
from claf_engine.training.watching import WATCH_SECONDS, machine_findings, probe_findings

Measured = TypeVar("Measured")
MAX_TRAIL = 100
"""Live edits that a checkpoint tells of; the journal has them all."""


class Stopped(Exception):
    """A person asked to stop, and the state is saved."""


class Conductor:
    """The loop over phases and ticks of one run."""

    def __init__(
        self,
        session: Session,
        phases: tuple[Phase, ...],
        control: Control,
        store: tuple[RunDirectory, Journal],
        pace: Pace,
    ) -> None:
        self._session = session
        self._phases = phases
        self._control = control
        self._directory, self._journal = store
        self._pace = pace
        self._threads = FittingThreads(session.compute, session.config.runtime)
        self._learning_rate: float | None = None
        self._saved_at = time.monotonic()
        self._is_unsaved = False
        self._is_paused = False
        self._waited = 0.0
        self._is_serving = False
        self._has_pulsed = False
        self._is_edited = False
        self._standing: dict[str, dict[str, Any]] = {}

    def play(self) -> Iterator[ev.Event]:
        """Play all phases from wherever the cursor stands, then the test evaluation."""
        cursor, ledger = self._session.state.cursor, self._session.state.ledger
        yield from reminders(ledger.alerts)
        try:
            while cursor.phase < len(self._phases):
                phase = self._phases[cursor.phase]
                yield ev.PhaseStarted(cursor.phase, phase.name, cursor.epoch)
                if ledger.is_probe_owed:
                    yield from self._end_epoch(phase)
                yield from self._play_phase()
                cursor.end_phase()
                ledger.learning_rate_factor, ledger.best_probed, self._learning_rate = 1.0, None, None
            yield from self._test()
        except Stopped:
            yield from self._answer(has_ended=True)
            yield ev.RunFinished("stopped", cursor.step, ledger.elapsed, checkpoint=saving.newest(self._directory))
        except (NonFiniteLoss, ProcessLost):
            raise
        except ClafError as error:
            # What broke may be a probe or an attack that was the first to meet the weights of a diverged network.
            broken = num_not_finite(self._session.state.network)
            if not broken:
                raise
            raise NonFiniteLoss(
                f"training diverged at step {cursor.step}: {broken} weights are infinite or NaN; go back to a "
                "checkpoint with a lower learning rate",
                tuple(self._session.state.optimizers),
            ) from error

    def _play_phase(self) -> Iterator[ev.Event]:
        """Play the phase that the cursor stands in; after an edit it goes on under the new settings, as resumed."""
        index = self._session.state.cursor.phase
        while True:
            phase, self._is_edited = self._phases[index], False
            ticks = phase.play(self._session)
            for tick in ticks:
                yield from self._serve(phase, tick)
                if self._is_edited:
                    break
            else:
                return
            if isinstance(ticks, Generator):
                ticks.close()

    def _serve(self, phase: Phase, tick: Tick) -> Iterator[ev.Event]:
        self._pace.account()
        match tick:
            case Pulse():
                yield from self._pulse(tick)
            case Boundary():
                yield from self._boundary(phase, tick)
            case PartEnd():
                yield from self._part_end(phase, tick)
            case _:
                self._pace.finish(WATCH)
                yield tick
                if isinstance(tick, ev.OverfittingChecked):
                    state = self._session.state
                    judged = watched_overfitting(tick, self._session.config)
                    yield from changes([judged], state.ledger.alerts, state.cursor.step)

    def _pulse(self, pulse: Pulse) -> Iterator[ev.Event]:
        self._pace.activity, self._has_pulsed = pulse, True
        yield from self._show()
        if pulse.together:
            self._control.agree()
        if self._session.state.cursor.phase == len(self._phases) and self._control.take_requests() != Requests():
            text = "training is over: there is nothing to edit, probe or save any more"
            yield ev.Notice("warning", text, self._session.state.cursor.step)
        yield from self._wait()
        if pulse.abandonable and self._control.stop_requested:
            yield from self._leave()

    def _boundary(self, phase: Phase, tick: Boundary) -> Iterator[ev.Event]:
        state = self._session.state
        self._control.passed("steps")
        self._pace.finish(kind_of(phase.name, tick.part), tick.num_images)
        if phase.is_frozen and phase.classifier is not None:
            state.ledger.validation.pop(phase.classifier, None)
        else:
            state.ledger.validation.clear()
        if not self._has_pulsed:
            self._pace.activity = Pulse("")
        self._has_pulsed = False
        if tick.part not in {"retrain", "replay"}:
            self._learning_rate = tick.learning_rate
        if state.cursor.step % self._session.config.runtime.log_every == 0:
            yield self._logged(tick)
        every = self._session.config.checkpoint.every_steps
        if every and state.cursor.step % every == 0:
            yield from self._save()
        yield from self._fit_threads()
        yield from self._show()
        yield from self._steer(phase)

    def _fit_threads(self) -> Iterator[ev.Event]:
        """Between steps, have as many threads as cores are free."""
        if not self._pace.is_due("threads", FIT_SECONDS) or (fitted := self._threads.look()) is None:
            return
        before = self._session.compute
        self._session = replace(self._session, compute=replace(before, threads=fitted.threads))
        yield ev.ThreadsChanged(self._session.state.cursor.step, before.threads, fitted.threads, fitted.free)

    def _logged(self, tick: Boundary) -> ev.StepLogged:
        cursor, ledger = self._session.state.cursor, self._session.state.ledger
        loss = float(tick.loss)
        self._session.require_finite(loss)
        return ev.StepLogged(
            cursor.step,
            cursor.phase,
            cursor.epoch + 1,
            tick.part,
            tick.loss_name,
            loss,
            tick.learning_rate,
            self._pace.images_per_second,
            ledger.elapsed,
        )

    def _part_end(self, phase: Phase, tick: PartEnd) -> Iterator[ev.Event]:
        state, config = self._session.state, self._session.config
        epoch = state.cursor.epoch
        if tick.epoch_ended:
            mean_loss, seconds = state.mean_loss(), state.ledger.epoch_elapsed
            yield ev.EpochFinished(state.cursor.step, state.cursor.phase, epoch, seconds, mean_loss)
        state.start_losses()
        if tick.epoch_ended:
            is_last = tick.phase_ended or epoch == phase.epochs
            state.ledger.is_probe_owed = tick.phase_ended or is_probe_due(phase, epoch, config.probe.every_epochs)
            yield from self._end_epoch(phase)
            self._control.passed("epoch", *(("phase",) if is_last else ()))
        yield from self._steer(phase)

    def _end_epoch(self, phase: Phase) -> Iterator[ev.Event]:
        """Probe and save where that is due; a stop may leave inside the probe, and then the resumed run begins here."""
        state, config = self._session.state, self._session.config.checkpoint
        epoch, is_probed = state.cursor.epoch, state.ledger.is_probe_owed
        if is_probed:
            yield from self._probe(phase)
            state.ledger.is_probe_owed = False
        state.ledger.epoch_elapsed = 0.0
        is_recent = time.monotonic() - self._saved_at < config.min_seconds
        if is_probed or epoch == phase.epochs or (epoch % config.every_epochs == 0 and not is_recent):
            yield from self._save()

    def _steer(self, phase: Phase) -> Iterator[ev.Event]:
        """Serve what a person asked for, at a place where the state is consistent."""
        self._control.agree()
        yield from self._serve_requests(phase)
        while self._control.status in WAITING:
            yield from self._wait()
            yield from self._serve_requests(phase)
        yield from self._wait()
        if self._control.stop_requested:
            yield from self._leave()

    def _serve_requests(self, phase: Phase) -> Iterator[ev.Event]:
        requests = self._control.take_requests()
        for edit in requests.edits:
            yield self._edit(edit)
            phase = self._phases[self._session.state.cursor.phase]
        if requests.probe:
            self._is_serving = True
            yield from self._probe(phase, requested=True)
            self._is_serving = False
        if requests.checkpoint:
            yield from self._save(requested=True)

    def _edit(self, edit: LiveEdit) -> ev.Event:
        state, rate = self._session.state, self._learning_rate
        step, ledger = state.cursor.step, state.ledger
        try:
            change = change_of(edit, self._trained)
        except ConfigError as error:
            return ev.Notice("warning", str(error), step)
        if change.name == LEARNING_RATE and rate is not None:
            self._learning_rate = change.plain
            ledger.learning_rate_factor *= change.plain / max(rate, 1e-12)
        else:
            ledger.edits[change.name] = change.plain
            self._phases, self._is_edited = phases_of(change.config), True
            self._session = replace(self._session, config=change.config, feature_epochs=feature_epochs(self._phases))
            self._pace.replan(self._session, self._phases)
        told = f"{step} {change.name}", f"{change.old} to {change.new}"
        ledger.trail = dict([*ledger.trail.items(), told][-MAX_TRAIL:])
        who, at = edit.who or this_process(), edit.at or time.time()
        return ev.ValueEdited(step, change.name, change.old, change.new, who, at)

    @property
    def _trained(self) -> Trained:
        return Trained(self._session.config, self._phases, self._session.state.cursor, self._learning_rate)

    def _probe(self, phase: Phase, *, requested: bool = False) -> Iterator[ev.Event]:
        probed: Probed = yield from self._measure(probe_steps(self._session, phase))
        if probed.examples is not None and self._directory.find_again():
            with self._directory.chores.attempt("keep the probe's adversarial examples"):
                write_examples(self._directory.path, probed.examples.clean, probed.examples.probed)
        for event in tell(self._session, phase, probed, self._pace.finish(PROBE), requested=requested):
            yield event
            if isinstance(event, ev.ProbeFinished):
                found = probe_findings(self._directory.alerts, event, self._session.state.ledger)
                yield from changes(found, self._session.state.ledger.alerts, event.step)

    def _measure(self, steps: Generator[Pulse, None, Measured]) -> Generator[ev.Event, None, Measured]:
        measured = yield from pump(steps, self._measuring)
        self._pace.account()
        return measured

    def _measuring(self, pulse: Pulse) -> Iterator[ev.Event]:
        self._pace.account()
        yield from self._pulse(pulse)

    def _test(self) -> Iterator[ev.Event]:
        """Evaluate every candidate on the test split; the result is the one that validation chose."""
        session = self._session
        cursor, config = session.state.cursor, session.config.evaluation
        yield ev.PhaseStarted(cursor.phase, "test", 0)
        if self._is_unsaved:
            yield from self._save(is_needed=True)
        split = session.data.test.first(config.num_examples)
        found, notices = candidates(session, self._phases, self._directory)
        for text in notices:
            yield ev.Notice("warning", text, cursor.step)
        self._pace.plan(TEST, len(found))
        results: list[ev.TestResult] = []
        for candidate in found:
            suite = suite_of(config, session.config.model)
            measured: Accuracy = yield from self._measure(both_steps(candidate.model, split, suite, session.compute))
            self._pace.finish(TEST)
            results.append(
                ev.TestResult(
                    candidate.checkpoint,
                    candidate.classifier,
                    measured.natural,
                    measured.robust,
                    selected=False,
                    weights_sha256=candidate.weights_sha256,
                )
            )
        yield self._pace.progressed(self._control.later)
        yield from self._answer(has_ended=True)
        yield ev.RunFinished(
            "finished",
            cursor.step,
            session.state.ledger.elapsed,
            select(results, found),
            selection_rule(session.config.probe) if results else "",
            checkpoint=saving.newest(self._directory),
        )

    def _save(self, *, requested: bool = False, is_needed: bool = False) -> Iterator[ev.Event]:
        """Write a checkpoint; a failure is told and training goes on, unless the run is about to leave.

        Of several processes the first one writes it.
        """
        if not self._directory.is_owned:
            return
        phase = self._phases[min(self._session.state.cursor.phase, len(self._phases) - 1)]
        self._directory.find_again()
        with self._directory.chores.attempt("flush the journal to the disk"):
            self._journal.sync()
        try:
            # The record of the save itself is the next one, so it is counted among those to keep.
            num_records = self._journal.num_records + 1
            yield saving.save(self._session, self._directory, phase, num_records, requested=requested)
        except CheckpointError as error:
            if is_needed:
                raise
            self._is_unsaved = True
            yield ev.Notice("error", f"{error}; training goes on", self._session.state.cursor.step)
        else:
            self._is_unsaved = False
        self._saved_at = time.monotonic()

    def _show(self) -> Iterator[ev.Event]:
        if self._pace.is_due("progress", PROGRESS_SECONDS):
            yield self._pace.progressed(self._control.later)
        if self._pace.is_due("status", STATUS_SECONDS):
            self._write_status("running")
        if self._pace.is_due("inbox", INBOX_SECONDS):
            yield from self._answer()
        if self._directory.is_owned and self._pace.is_due("alerts", WATCH_SECONDS):
            found = machine_findings(self._directory, self._session.compute)
            yield from changes(found, self._standing, self._session.state.cursor.step)

    def _answer(self, *, has_ended: bool = False) -> Iterator[ev.Event]:
        """Take what other processes ask, and tell what comes of it."""
        if not self._directory.is_owned:
            return
        received: list[Received] = []
        with self._directory.chores.attempt("read what other processes ask"):
            received = self._directory.inbox.take(self._directory.path)
        cursor = self._session.state.cursor
        trained = None if cursor.phase == len(self._phases) else self._trained
        standing = Standing(cursor.step, trained, has_ended=has_ended)
        for one in received:
            yield served(one, self._control, standing)

    def _wait(self) -> Iterator[ev.Event]:
        """Wait while a person has paused the run, with a heartbeat; what was asked for in a pause is served in it."""
        step = self._session.state.cursor.step
        if self._control.status in WAITING and not (self._is_paused and self._is_serving):
            if not self._is_paused:
                self._is_paused, self._waited = True, 0.0
                yield self._pace.progressed(self._control.later)
                yield ev.ControlChanged(step, "paused")
                self._write_status("paused")
            while seconds := self._control.wait_while_paused(min(INBOX_SECONDS, STATUS_SECONDS)):
                self._waited += seconds
                if self._pace.is_due("status", STATUS_SECONDS):
                    self._write_status("paused")
                yield from self._answer()
            self._pace.leave_out()
        if self._is_paused and self._control.status not in WAITING:
            self._is_paused = False
            yield ev.ControlChanged(step, "resumed", self._waited)

    def _write_status(self, status: str) -> None:
        """Say how the run stands, where its folder is there to say it in."""
        if self._directory.find_again():
            with self._directory.chores.attempt("write status.json"):
                self._directory.write_status(self._pace.status(status, self._control.later))

    def _leave(self) -> Iterator[ev.Event]:
        yield ev.ControlChanged(self._session.state.cursor.step, "stopping")
        yield from self._save(is_needed=True)
        raise Stopped
