"""Steps of the engine that need no process of their own, played in a thread that ends when nobody waits any more."""

import time
from collections.abc import Callable, Generator
from typing import TypeVar

from textual.worker import Worker

from claf_engine.events.ticks import Pulse

Report = TypeVar("Report")
SECONDS_BETWEEN = 0.1


def play_steps(
    steps: Generator[Pulse, None, Report], worker: Worker[object], tell: Callable[[Pulse], object]
) -> Report | None:
    """Play steps to their report; None where the worker was cancelled.

    Args:
        steps: what is played.
        worker: the one of this thread.
        tell: is called with a pulse a few times a second.

    Raises:
        ClafError: whatever the steps raise.
    """
    told = 0.0
    while not worker.is_cancelled:
        try:
            pulse = next(steps)
        except StopIteration as stop:
            report: Report = stop.value
            return report
        if time.monotonic() - told > SECONDS_BETWEEN:
            told = time.monotonic()
            tell(pulse)
    steps.close()
    return None
