"""On how many threads a process computes beside others on the same cores. No torch.

Threads of one convolution wait for each other at its end, and spin while they do. Where a partner has no core of its
own, all of them burn theirs until it gets one: two threads beside four busy processes on two cores train at a third of
what one thread does there. So there are to be no more threads than cores that this process can have: those that it had,
and those that nobody used.
"""

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

from claf_engine.compute.contention import core_time

STAT = Path("/proc/stat")
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
IDLE_FIELDS = slice(3, 5)
"""Of the counts of a core: what it spent idle, and idle while a disk was waited for."""
NEARLY = 0.2
"""So much of a core may be missing for it to count as free: what the system itself needs now and then."""
PATIENCE_TO_SHRINK, PATIENCE_TO_GROW = 2, 5
"""As many readings in a row must say that fewer threads fit, or more, before there are: every change of their number
changes the last bits of what is computed from then on, which a moment's load is not worth.
"""


@dataclass(frozen=True)
class Load:
    """What became of the cores between two moments, in cores.

    Attributes:
        seconds: between them.
        had: by this process, on average.
        idle: used by nobody, of those that this process may run on.
    """

    seconds: float
    had: float
    idle: float

    @property
    def free(self) -> float:
        """Cores that this process can have."""
        return self.had + self.idle


@dataclass(frozen=True)
class Reading:
    """Running totals at a moment, in seconds; see `Load`."""

    at: float
    ran: float
    idle: float


def read(stat: Path = STAT) -> Reading | None:
    """Read them now; None where the system does not count them."""
    spent = core_time()
    idle = idle_seconds(stat)
    if spent is None or idle is None:
        return None
    return Reading(time.monotonic(), spent.ran, idle)


def idle_seconds(stat: Path = STAT) -> float | None:
    """Seconds that the cores that this process may run on did nothing, summed since the machine started."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    usable = os.sched_getaffinity(0)
    try:
        lines = [line.split() for line in stat.read_text(encoding="ascii").splitlines() if line[:3] == "cpu"]
        counts = {int(name[3:]): fields for name, *fields in lines if name != "cpu"}
        return sum(sum(map(int, counts[core][IDLE_FIELDS])) for core in usable) / TICKS
    except (OSError, ValueError, KeyError):
        return None


def load_between(before: Reading | None, now: Reading | None) -> Load | None:
    """What became of the cores; None where it is not known, or the moments are the same.

    Threads that have ended meanwhile are left out.
    """
    if before is None or now is None or now.at <= before.at:
        return None
    seconds = now.at - before.at
    return Load(seconds, max(0.0, now.ran - before.ran) / seconds, max(0.0, now.idle - before.idle) / seconds)


class CoreShare:
    """How many threads fit, reading by reading.

    Args:
        threads: that compute now.
        most: as many as there may be.
    """

    def __init__(self, threads: int, most: int) -> None:
        self.threads = threads
        self._most = most
        self._fewer: list[int] = []
        self._more: list[int] = []

    def take(self, load: Load) -> int:
        """The number of threads from now on, in [1, most], by one more reading."""
        fitting = max(1, min(self._most, math.floor(load.free + NEARLY)))
        self._fewer = [*self._fewer, fitting] if fitting < self.threads else []
        self._more = [*self._more, fitting] if fitting > self.threads else []
        if len(self._fewer) == PATIENCE_TO_SHRINK:
            self.threads, self._fewer = max(self._fewer), []
        elif len(self._more) == PATIENCE_TO_GROW:
            self.threads, self._more = min(self._more), []
        return self.threads
