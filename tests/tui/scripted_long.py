"""A run of any number of events, of every kind that a run tells again and again; and what memory they leave behind."""

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from claf_engine import events as ev
from tests.tui.scripted import PHASES, robust_figure, run_started

SETTLED, MANY = 10_000, 100_000
"""Events after which memory has to stay what it is, and events that are told in all."""
FLAT = 15_000
"""Blocks of memory within which a state moves as its curves halve themselves; one object left of each event is six
times that."""
EVERY = 2_500
"""Events between two looks at the memory."""


def long_run(directory: Path, num_events: int = MANY) -> Iterator[ev.Event]:
    """Tell so many events of a run that never ends, each another than those before it."""
    yield run_started(directory)
    yield ev.PhaseStarted(1, PHASES[1].name, 0)
    for step in range(1, num_events - 1):
        yield _event(step)


def _event(step: int) -> ev.Event:
    epoch, accuracy = step // 100, (step % 97) / 100
    match step % 8:
        case 0:
            robust = tuple(robust_figure(epsilon, accuracy) for epsilon in ("8/255", "16/255"))
            return ev.ProbeFinished(step, 1, epoch, "attack", accuracy, robust, 2.5)
        case 1:
            return ev.CheckpointSaved(step, 1, f"/runs/step-{step:09d}.safetensors", step, ("last",), 0.1)
        case 2:
            return ev.ClassifierRetrained(step, epoch, accuracy / 2, accuracy, 512)
        case 3 if step % 3:
            return ev.Notice("warning", f"something happened at step {step}", step)
        case 3:
            return ev.Alert(step, "epsilon-zero", f"something bad happened at step {step}")
        case 4:
            return ev.EpochFinished(step, 1, epoch, 30.0, accuracy)
        case 5 | 6:
            return _progressed(step)
        case _:
            return ev.StepLogged(step, 1, epoch, "encoder", "supcon", 2 + accuracy, 0.1, 800.0 + step, step / 10)


def _progressed(step: int) -> ev.Progressed:
    return ev.Progressed(
        phase=1,
        epoch=step // 100,
        epochs=10_000,
        activity=f"retrain {step % 5}/5",
        activity_fraction=step % 5 / 5,
        phase_fraction=step / 2e5,
        run_fraction=step / 4e5,
        elapsed=step / 10,
        phase_elapsed=step / 10,
        phase_remaining=1e5 - step,
        run_remaining=2e5 - step,
        images_per_second=800.0,
        memory_bytes=step,
        step=step,
    )


class Memory:
    """Blocks of memory that Python holds, looked at now and then while a run tells so many events."""

    def __init__(self, num_events: int) -> None:
        self._last = num_events - SETTLED
        self._early, self._late = 0, 0

    def look(self, num_told: int) -> None:
        """Look now, after so many events."""
        if SETTLED <= num_told < 2 * SETTLED:
            self._early = max(self._early, _num_blocks())
        elif num_told >= self._last:
            self._late = max(self._late, _num_blocks())

    @property
    def growth(self) -> int:
        """By how many blocks the most of late exceeds the most just after everything had settled."""
        assert self._early
        assert self._late
        return self._late - self._early


def _num_blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def growth_of(use: Callable[[ev.Event], None], directory: Path, num_events: int = MANY) -> int:
    """Use every event of a long run, and give by how many blocks memory grew after it had settled."""
    memory = Memory(num_events)
    for number, event in enumerate(long_run(directory, num_events)):
        use(event)
        if number % EVERY == 0:
            memory.look(number)
    return memory.growth
