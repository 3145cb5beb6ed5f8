"""The run's clock and what it says: elapsed and remaining time, speed, and where the run is now."""

import time
from dataclasses import asdict
from typing import Any

from claf_engine.events import Progressed
from claf_engine.events.ticks import Pulse
from claf_engine.training.methods import Phase
from claf_engine.training.progress import Progress, Work
from claf_engine.training.session import Session

PROGRESS_SECONDS = 0.2
STATUS_SECONDS = 2.0


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
        self._due = {"progress": 0.0, "status": 0.0}

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

    def is_due(self, what: str, interval: float) -> bool:
        """Whether something that happens every so many seconds is to happen now; then it is not for a while."""
        now = time.monotonic()
        if now < self._due[what]:
            return False
        self._due[what] = now + interval
        return True

    def progressed(self) -> Progressed:
        """Where the run is now."""
        cursor, ledger = self._session.state.cursor, self._session.state.ledger
        self._progress.enter(cursor.phase)
        epochs = self._phases[cursor.phase].epochs if cursor.phase < len(self._phases) else 0
        activity = self.activity
        return Progressed(
            phase=cursor.phase,
            epoch=min(epochs, cursor.epoch + 1),
            epochs=epochs,
            activity=activity.activity,
            activity_fraction=activity.done / activity.total if activity.total else 0.0,
            phase_fraction=self._progress.phase_fraction(cursor.phase),
            run_fraction=self._progress.run_fraction(),
            elapsed=ledger.elapsed,
            phase_elapsed=ledger.phase_elapsed.get(str(cursor.phase), 0.0),
            phase_remaining=self._progress.phase_remaining(cursor.phase),
            run_remaining=self._progress.run_remaining(),
            images_per_second=self.images_per_second,
            memory_bytes=self._session.compute.memory_bytes(),
            step=cursor.step,
        )

    def status(self, status: str) -> dict[str, Any]:
        """The same for the status file, where it is read by other processes."""
        session = self._session
        progressed = asdict(self.progressed())
        index = min(session.state.cursor.phase, len(self._phases) - 1)
        return {
            "status": status,
            "method": session.config.method,
            "data": session.config.data.source,
            "phase_title": self._phases[index].title,
            "probe": session.state.ledger.probe or None,
            **progressed,
        }
