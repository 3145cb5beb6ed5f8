"""Control: how a person steers a run from another thread.

The console calls the request methods; a run's conductor reads them at its consistent points. Nothing here touches
training state.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

ControlStatus = Literal["running", "pausing", "paused", "stopping"]
WAITING: frozenset[str] = frozenset({"pausing", "paused"})
"""What a run does that is paused, or is about to be."""
LEARNING_RATE, TEMPERATURE, EPOCHS_LEFT = "learning_rate", "temperature", "epochs_left"
"""Values of the phase that goes on, which each method keeps elsewhere in its settings, or nowhere."""
LIVE_NAMES = (
    LEARNING_RATE,
    TEMPERATURE,
    EPOCHS_LEFT,
    "probe.every_epochs",
    "probe.epsilons",
    "checkpoint.every_epochs",
    "checkpoint.every_steps",
    "checkpoint.min_seconds",
)
"""What may change while a run goes on; those with a dot are settings."""
PHASE_EPOCHS = {
    "contrastive": "contrastive.epochs",
    "adversarial": "adversarial.epochs",
    "instance": "rocl.epochs",
    "adversarial_contrastive": "acl.epochs",
    "supervised": "supervised.epochs",
    "two_encoders": "supervised.epochs",
    "linear_evaluation": "linear_evaluation.epochs",
    "adversarial_linear_evaluation": "linear_evaluation.adversarial_epochs",
    "pretext": "pretext.epochs",
}
"""The setting that says how long each phase is, by the name of the phase."""
PHASE_TEMPERATURES = {
    "contrastive": "contrastive.temperature",
    "adversarial": "contrastive.temperature",
    "instance": "rocl.temperature",
    "adversarial_contrastive": "acl.temperature",
    "supervised": "objective.contrast_temperature",
    "two_encoders": "two_encoders.temperature",
}
"""The setting of the temperature of each phase that has one."""

Value = float | str
"""What a live value is set to: a number, or as a person writes it, such as "8/255, 16/255"."""
Unit = Literal["steps", "epoch", "phase"]


@dataclass(frozen=True)
class LiveEdit:
    """A value that a person changed while the run was going.

    Attributes:
        name: one of `LIVE_NAMES`.
        value: what it is to become.
        who: asked; empty where that was at the run's own console.
        at: when, in seconds since the epoch.
    """

    name: str
    value: Value
    who: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Later:
    """When a run is to pause: after `count` more optimiser steps, or at the end of its epoch or phase."""

    unit: Unit
    count: int = 1

    @property
    def text(self) -> str:
        """The same as the rest of a sentence: "after 12 more steps"."""
        if self.unit != "steps":
            return f"at the end of the {self.unit}"
        return "after 1 more step" if self.count == 1 else f"after {self.count} more steps"


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
        self._later: Later | None = None

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

    @property
    def later(self) -> Later | None:
        """When the run is to pause, if it was asked to do so later."""
        with self._condition:
            return self._later

    def pause(self) -> None:
        """Ask the run to wait at its next pulse, which comes within one attack step or one batch."""
        with self._changed():
            self._pause, self._later = True, None

    def pause_later(self, later: Later) -> None:
        """Let the run go on until then, and have it wait there; a step counts once it is whole."""
        with self._changed():
            self._pause, self._later = False, later

    def passed(self, *units: Unit) -> None:
        """Count what is complete towards a later pause, which begins where it is reached. Called by the run only.

        Args:
            units: "steps" for one step; "epoch" and "phase" where those end.
        """
        with self._changed():
            if self._later is None or self._later.unit not in units:
                return
            left = self._later.count - 1
            self._later = replace(self._later, count=left) if left > 0 else None
            self._pause = left <= 0

    def resume(self) -> None:
        """Let a paused run go on, and forget a later pause."""
        with self._changed():
            self._pause, self._later = False, None

    def stop(self) -> None:
        """Ask the run to finish its step, save and leave; wakes a paused run."""
        with self._changed():
            self._stop, self._later = True, None

    def probe_now(self) -> None:
        """Ask for a robustness probe at the next step boundary."""
        with self._changed():
            self._probe = True

    def checkpoint_now(self) -> None:
        """Ask for a checkpoint at the next step boundary."""
        with self._changed():
            self._checkpoint = True

    def edit(self, name: str, value: Value, who: str = "", at: float = 0.0) -> None:
        """Ask for a live edit (see `LiveEdit`); the run validates it and answers with an event."""
        with self._changed():
            self._edits.append(LiveEdit(name, value, who, at))

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
