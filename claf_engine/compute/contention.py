"""How much this process waits for cores that others use, so that a time can say that it was taken under load. No torch.

Linux counts for every thread how long it ran, and how long it was ready to run and waited for a core
(/proc/PID/task/TID/schedstat). A thread that sleeps, or waits for a disk or a GPU, does neither.
"""

import os
from dataclasses import dataclass
from pathlib import Path

TASKS = Path("/proc/self/task")
BUSY = 0.15
"""Share of waiting from which a machine is called busy: alone, threads as many as cores wait for 1 to 5 %."""


@dataclass(frozen=True)
class CoreTime:
    """Seconds that all threads of this process ran, and that they waited for a core, since they began."""

    ran: float
    waited: float


def core_time(tasks: Path = TASKS) -> CoreTime | None:
    """Read both now; None where the system does not count them."""
    try:
        found = [_read(tasks / task / "schedstat") for task in os.listdir(tasks)]
    except (OSError, ValueError):
        return None
    return CoreTime(sum(each.ran for each in found), sum(each.waited for each in found))


def _read(file: Path) -> CoreTime:
    try:
        ran, waited = file.read_text(encoding="ascii").split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        if file.parent.exists():
            raise
        return CoreTime(0.0, 0.0)  # the thread has ended since the folder was listed
    return CoreTime(int(ran) / 1e9, int(waited) / 1e9)


def share_waited(before: CoreTime | None, now: CoreTime | None) -> float | None:
    """Of the time in which threads wanted a core, the share in which they had none, in [0, 1].

    None where it is not known, or where no thread wanted one; threads that have ended meanwhile are left out.
    """
    if before is None or now is None:
        return None
    ran, waited = max(0.0, now.ran - before.ran), max(0.0, now.waited - before.waited)
    return waited / (ran + waited) if ran + waited > 0 else None
