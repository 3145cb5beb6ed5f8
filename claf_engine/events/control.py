"""Control: how a person steers a run from another thread.

The console calls the request methods; a run's conductor reads them at its consistent points. Nothing here touches
training state.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

ControlStatus = Literal["running", "pausing", "paused", "stopping"]
WAITING: frozenset[str] = frozenset({"pausing", "paused"})
"""What a run does that is paused, or is about to be."""
LEARNING_RATE, PROBE_EVERY = "learning_rate", "probe.every_epochs"
"""Names of the values that may change while a run goes on."""


@dataclass(frozen=True)
class LiveEdit:
    """A value that a person changed while the run was going; `name` is one of the two above."""

    name: str
    value: float


@dataclass(frozen=True)
class Requests:
    """What a person asked for since the last look; taking them clears them."""

    probe: bool = False
    checkpoint: bool = False
    edits: tuple[LiveEdit, ...] = ()


class Control:
    """Thread-safe pause, resume, stop, probe now, checkpoint now and live edits."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._pause = False
        self._stop = False
        self._waiting = False
        self._probe = False
        self._checkpoint = False
        self._edits: list[LiveEdit] = []

    @property
    def status(self) -> ControlStatus:
        """What the run is doing about the last request; safe to read from any thread at any time."""
        with self._condition:
            if self._stop:
                return "stopping"
            if self._pause:
                return "paused" if self._waiting else "pausing"
            return "running"

    @property
    def stop_requested(self) -> bool:
        """Whether the run was asked to finish its step, save and leave."""
        with self._condition:
            return self._stop

    def pause(self) -> None:
        """Ask the run to wait at its next pulse, which comes within one attack step or one batch."""
        with self._changed():
            self._pause = True

    def resume(self) -> None:
        """Let a paused run go on."""
        with self._changed():
            self._pause = False

    def stop(self) -> None:
        """Ask the run to finish its step, save and leave; wakes a paused run."""
        with self._changed():
            self._stop = True

    def probe_now(self) -> None:
        """Ask for a robustness probe at the next step boundary."""
        with self._changed():
            self._probe = True

    def checkpoint_now(self) -> None:
        """Ask for a checkpoint at the next step boundary."""
        with self._changed():
            self._checkpoint = True

    def edit(self, name: str, value: float) -> None:
        """Ask for a live edit; the run validates it and answers with an event."""
        with self._changed():
            self._edits.append(LiveEdit(name, value))

    def agree(self) -> None:
        """Come to what all processes of a run are to do; called by the run where all of them stand at the same point.

        A single process has nobody to agree with.
        """

    def take_requests(self) -> Requests:
        """Hand over the pending requests and clear them. Called by the run only."""
        with self._condition:
            taken = Requests(self._probe, self._checkpoint, tuple(self._edits))
            self._probe = self._checkpoint = False
            self._edits.clear()
            return taken

    def wait_while_paused(self, timeout: float | None = None) -> float:
        """Block the run while it is paused and nobody asks for anything else.

        Returns at once when the run is not paused, when it is asked to stop, or when a probe, a checkpoint or an edit
        is pending (the caller serves it at its next step boundary and comes back). Returns also after `timeout`
        seconds, still paused, so that the caller can show that it is alive and come back.

        Returns:
            Seconds spent waiting, so that rates and estimates can leave them out.
        """
        with self._condition:
            if not self._must_wait():
                self._waiting = False
                return 0.0
            started = time.monotonic()
            self._waiting = True
            self._waiting = not self._condition.wait_for(lambda: not self._must_wait(), timeout)
            return time.monotonic() - started

    def _must_wait(self) -> bool:
        return self._pause and not (self._stop or self._probe or self._checkpoint or self._edits)

    @contextmanager
    def _changed(self) -> Iterator[None]:
        with self._condition:
            yield
            self._condition.notify_all()
