"""How far a run is and how long it still takes, as arithmetic over units of work.

A unit is one optimiser step, one probe, one watch or one test evaluation. Every kind of unit has a planned count, a
nominal cost in forward passes, and, once it was measured for long enough, a time; other kinds are estimated from their
cost, and before any kind has a time there is no estimate.
`Progress` is that arithmetic; `Pace` holds the clock of a run that is going on, and tells where it is.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from claf_engine.accuracy.suite import suite_of
from claf_engine.compute.contention import core_time, share_waited
from claf_engine.config import ProbeConfig, RunConfig
from claf_engine.events import Progressed
from claf_engine.events.control import Later
from claf_engine.events.ticks import Pulse
from claf_engine.training.examples import num_kept
from claf_engine.training.methods import reported_classifiers
from claf_engine.training.phase import Phase
from claf_engine.training.sentinels import num_watched
from claf_engine.training.session import Session

WATCH, PROBE, TEST = "watch", "probe", "test"
MEASUREMENTS = {WATCH, PROBE, TEST}
FP32_COST = 3.0
"""Measurements run in fp32, about this many times slower than training precision."""
MEMORY = 50
"""A kind's time per unit is the mean of the first so many units, and from then on forgets at that pace."""
CALIBRATION_SECONDS = 5.0
"""So long a kind of step is measured before an estimate rests on it, its first step aside, which warms up."""


@dataclass(frozen=True)
class Work:
    """Units of one kind within one phase; `cost` is of one unit, in forward passes of one image."""

    phase: int
    kind: str
    count: int
    cost: float


def kind_of(phase: str, part: str) -> str:
    """The name of a kind of optimiser step."""
    return f"{phase}.{part}"


def plan_work(config: RunConfig, phases: tuple[Phase, ...], num_train: int, num_test: int) -> list[Work]:
    """List all work of a run; the test evaluation counts as a phase of its own after the last."""
    steps = -(-num_train // config.batch_size)
    images = num_train / steps
    probe_cost = _probe_cost(config.probe)
    works: list[Work] = []
    for index, phase in enumerate(phases):
        for part in phase.parts:
            count = phase.epochs * part.steps(steps)
            works.append(Work(index, kind_of(phase.name, part.name), count, part.cost * images))
        if phase.num_watches:
            cost = sum(_measurement_cost(config.probe.num_examples, 1, steps) for steps in phase.watch_steps)
            works.append(Work(index, WATCH, phase.epochs * phase.num_watches, cost))
        works.append(Work(index, PROBE, num_probes(phase, config.probe.every_epochs), probe_cost))
    works.append(Work(len(phases), TEST, num_tests(phases), _test_cost(config, num_test)))
    return works


def num_tests(phases: tuple[Phase, ...]) -> int:
    """At most how many networks a run of these phases is tested as: see `results.candidates`.

    They are every classifier that is reported, and the best checkpoint where it may hold another encoder than the last.
    """
    may_be_better = any(phase.classifier is not None and not phase.is_frozen for phase in phases)
    return len(reported_classifiers(phases)) + may_be_better


def num_probes(phase: Phase, every_epochs: int) -> int:
    """How often a phase is probed."""
    return sum(is_probe_due(phase, epoch, every_epochs) for epoch in range(1, phase.epochs + 1))


def is_probe_due(phase: Phase, epoch: int, every_epochs: int) -> bool:
    """Whether a phase is probed after this epoch (from 1): every so many, and always after the last."""
    if epoch == phase.epochs:
        return True
    return bool(every_epochs) and not phase.is_frozen and epoch % every_epochs == 0


class Progress:
    """Counts units and measures their time; `done` is shared with the run's ledger, so it survives a resume."""

    def __init__(self, works: list[Work], done: dict[str, int]) -> None:
        self._works = works
        self._done = done
        self._seconds: dict[str, float] = {}
        self._measured: dict[str, int] = {}
        self._spent: dict[str, float] = {}

    def finish(self, phase: int, kind: str, seconds: float) -> None:
        """Count one unit and remember how long it took."""
        key = _key(phase, kind)
        self._done[key] = self._done.get(key, 0) + 1
        before = self._measured.get(kind, 0)
        self._measured[kind] = before + 1
        self._spent[kind] = self._spent.get(kind, 0.0) + (seconds if before else 0.0)
        known = self._seconds.get(kind, seconds)
        self._seconds[kind] = known + (seconds - known) / min(MEMORY, max(1, before))

    def plan(self, phase: int, kind: str, count: int) -> None:
        """Correct how many units of a kind a phase has, once that is known."""
        self._works = [
            replace(work, count=count) if (work.phase, work.kind) == (phase, kind) else work for work in self._works
        ]

    def replan(self, works: list[Work]) -> None:
        """Exchange the work of the run, which a person has changed; what is done and how long it takes stays known."""
        self._works = works

    def enter(self, phase: int) -> None:
        """Go on to a phase: what the phases before it planned and have not done will not be done any more."""
        self._works = [
            replace(work, count=_done(work, self._done)) if work.phase < phase else work for work in self._works
        ]

    def seconds_of(self, kind: str) -> float | None:
        """Measured seconds of one unit of a kind, or None before the first, which counts only until the second."""
        return self._seconds.get(kind)

    def phase_fraction(self, phase: int) -> float:
        """Share of a phase that is done, in [0, 1], weighted by cost."""
        return _fraction([work for work in self._works if work.phase == phase], self._done)

    def run_fraction(self) -> float:
        """Share of the run that is done, in [0, 1], weighted by cost."""
        return _fraction(self._works, self._done)

    def phase_remaining(self, phase: int) -> float | None:
        """Estimated seconds until a phase ends, or None while that is not worth anything."""
        return self._remaining([work for work in self._works if work.phase == phase])

    def run_remaining(self) -> float | None:
        """Estimated seconds until the run ends, or None while that is not worth anything."""
        return self._remaining(self._works)

    def _remaining(self, works: list[Work]) -> float | None:
        left = {work: num_left for work in works if (num_left := work.count - _done(work, self._done))}
        if not left:
            return 0.0
        costs = {work.kind: work.cost for work in self._works}
        believed = {
            kind: seconds for kind, seconds in self._seconds.items() if kind in costs and self._is_believed(kind)
        }
        measured = sum(costs[kind] for kind in believed)
        if not measured:
            return None
        per_cost = sum(believed.values()) / measured
        return sum(num * believed.get(work.kind, work.cost * per_cost) for work, num in left.items())

    def _is_believed(self, kind: str) -> bool:
        """Whether a kind was measured for long enough; one measurement is many batches, and is."""
        return kind in MEASUREMENTS or self._spent[kind] >= CALIBRATION_SECONDS


def _probe_cost(config: ProbeConfig) -> float:
    """A probe with its sentinels: two looks without steps, FGSM, and one to two further attacks on each image.

    The images that are kept to be looked at are attacked once more, at one radius.
    """
    watched = num_watched(config.sentinel_examples, config.num_examples)
    sentinels = FP32_COST * watched * (2 + 3 + 1.5 * (2 * config.steps + 1))
    kept = _measurement_cost(num_kept(config), 1, config.steps)
    # About half of the images are left to the attack that checkpoints are chosen by.
    selection = _measurement_cost(config.num_examples // 2, 1, config.selection_steps)
    return _measurement_cost(config.num_examples, len(config.epsilons), config.steps) + sentinels + kept + selection


def _test_cost(config: RunConfig, num_test: int) -> float:
    """Of the attacks that the settings ask for, and of those that cross the balls which they do not cross."""
    suite, num_examples = suite_of(config.evaluation, config.model), config.evaluation.num_examples
    attacks = [each.attack(epsilon) for each in (suite, suite.crossing()) if each for epsilon in each.epsilons]
    passes = sum(suite.restarts * (2 * attack.steps + 1) for attack in attacks)
    return FP32_COST * min(num_test, num_examples or num_test) * (1 + passes)


def _measurement_cost(num_examples: int, num_attacks: int, steps: int) -> float:
    return FP32_COST * num_examples * (1 + num_attacks * (2 * steps + 1))


def _key(phase: int, kind: str) -> str:
    return f"{phase}.{kind}"


def _done(work: Work, done: Mapping[str, int]) -> int:
    return min(work.count, done.get(_key(work.phase, work.kind), 0))


def _fraction(works: list[Work], done: Mapping[str, int]) -> float:
    total = sum(work.count * work.cost for work in works)
    return sum(_done(work, done) * work.cost for work in works) / total if total else 1.0


PROGRESS_SECONDS = 0.2
STATUS_SECONDS = 2.0
LOAD_SECONDS = 5.0
"""Over which waiting for a core is averaged."""


class Pace:
    """Measures time between ticks, leaves pauses out, and writes it into the run's ledger."""

    def __init__(self, session: Session, phases: tuple[Phase, ...], works: list[Work]) -> None:
        self.activity = Pulse("")
        self.images_per_second: float | None = None
        self._session = session
        self._phases = phases
        self._progress = Progress(works, session.state.ledger.done)
        self._last = time.monotonic()
        self._unit_seconds = 0.0
        self._due = {"progress": 0.0, "status": 0.0, "load": 0.0, "threads": 0.0, "inbox": 0.0, "alerts": 0.0}
        self._core_time = core_time()
        self._waited: float | None = None

    def account(self) -> None:
        """Credit the time since the last call to the run, the phase, the epoch and the current unit of work."""
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        ledger, name = self._session.state.ledger, str(self._session.state.cursor.phase)
        ledger.elapsed += seconds
        ledger.epoch_elapsed += seconds
        ledger.phase_elapsed[name] = ledger.phase_elapsed.get(name, 0.0) + seconds
        self._unit_seconds += seconds

    def leave_out(self) -> None:
        """Forget the time since the last call: it was a pause."""
        self._last = time.monotonic()

    def finish(self, kind: str, num_images: int = 0) -> float:
        """End one unit of work.

        Returns:
            Seconds it took.
        """
        seconds, self._unit_seconds = self._unit_seconds, 0.0
        self._progress.finish(self._session.state.cursor.phase, kind, seconds)
        if num_images:
            self.images_per_second = num_images / max(1e-9, self._progress.seconds_of(kind) or seconds)
        return seconds

    def plan(self, kind: str, count: int) -> None:
        """Correct how many units of a kind the current phase has."""
        self._progress.plan(self._session.state.cursor.phase, kind, count)

    def replan(self, session: Session, phases: tuple[Phase, ...]) -> None:
        """Go on by other settings."""
        self._session, self._phases = session, phases
        data = session.data
        self._progress.replan(plan_work(session.config, phases, len(data.train), len(data.test)))

    def is_due(self, what: str, interval: float) -> bool:
        """Whether something that happens every so many seconds is to happen now; then it is not for a while."""
        now = time.monotonic()
        if now < self._due[what]:
            return False
        self._due[what] = now + interval
        return True

    def progressed(self, later: Later | None = None) -> Progressed:
        """Where the run is now.

        Args:
            later: when it is to pause, if it was asked to.
        """
        cursor, ledger = self._session.state.cursor, self._session.state.ledger
        self._progress.enter(cursor.phase)
        if self.is_due("load", LOAD_SECONDS):
            before, self._core_time = self._core_time, core_time()
            self._waited = share_waited(before, self._core_time)
        epochs = self._phases[cursor.phase].epochs if cursor.phase < len(self._phases) else 0
        activity = self.activity
        return Progressed(
            phase=cursor.phase,
            epoch=min(epochs, cursor.epoch + 1),
            epochs=epochs,
            activity=activity.activity,
            activity_fraction=activity.fraction,
            phase_fraction=self._progress.phase_fraction(cursor.phase),
            run_fraction=self._progress.run_fraction(),
            elapsed=ledger.elapsed,
            phase_elapsed=ledger.phase_elapsed.get(str(cursor.phase), 0.0),
            phase_remaining=self._progress.phase_remaining(cursor.phase),
            run_remaining=self._progress.run_remaining(),
            images_per_second=self.images_per_second,
            memory_bytes=self._session.compute.memory_bytes(),
            step=cursor.step,
            waited=self._waited,
            pause_unit=later.unit if later is not None else "",
            pause_count=later.count if later is not None else 0,
        )

    def status(self, status: str, later: Later | None = None) -> dict[str, Any]:
        """The same for the status file, where it is read by other processes."""
        session = self._session
        progressed = asdict(self.progressed(later))
        index = min(session.state.cursor.phase, len(self._phases) - 1)
        return {
            "status": status,
            "method": session.config.method,
            "data": session.config.data.source,
            "phase_title": self._phases[index].title,
            "probe": session.state.ledger.probe or None,
            **progressed,
        }
