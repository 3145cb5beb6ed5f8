"""How many cores this process may use: those that it may run on, in the time that its control groups allow. No torch.

A container that was given "two CPUs" sees every core of its host and may run on each of them, but is stopped for the
rest of each period once it has used two cores' worth of it. Threads of one convolution wait for each other, so that one
thread more than that allowance slows all of them: tenfold and more has been reported.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MEMBERSHIP = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")
CPU = "cpu"
"""The controller of the first version of control groups that rations time."""


def usable_cores() -> int:
    """Cores that this process may use, at least one; more threads than that would wait for each other."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = allowance()
    # Rounded down: one thread more than the allowance is stopped with all others.
    return cores if allowed is None else max(1, min(cores, math.floor(allowed)))


def allowance(membership: Path = MEMBERSHIP, groups: Path = GROUPS) -> float | None:
    """How many cores' worth of time the control groups of this process allow it; None for no limit.

    The least of its own group and of all above it counts (Linux, both versions of control groups). What cannot be read
    limits nothing: inside a container, groups above its own are out of sight, and its own may be shown as the root.

    Args:
        membership: a file such as /proc/self/cgroup, with lines "number:controllers:path".
        groups: where control groups are mounted.
    """
    try:
        lines = [line.split(":", 2) for line in membership.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return None
    found = []
    for line in lines:
        if len(line) != 3:
            continue
        _, controllers, path = line
        if not controllers:
            for top in (groups, groups / "unified"):
                found += [_of_second_version(folder) for folder in _upwards(top, path)]
        elif CPU in controllers.split(","):
            for top in dict.fromkeys((groups / controllers, groups / CPU)):
                found += [_of_first_version(folder) for folder in _upwards(top, path)]
    return min((each for each in found if each is not None), default=None)


def _upwards(top: Path, path: str) -> Iterator[Path]:
    """The folder of a group below a mount, and those of all groups above it."""
    inside = PurePosixPath(path.lstrip("/"))
    if ".." not in inside.parts:
        yield from (top / part for part in (inside, *inside.parents))


def _of_second_version(folder: Path) -> float | None:
    words = _words(folder / "cpu.max")
    return _share(words[0], words[1]) if len(words) == 2 else None


def _of_first_version(folder: Path) -> float | None:
    words = [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
    return _share(words[0], words[1]) if len(words) == 2 else None


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []


def _share(quota: str, period: str) -> float | None:
    """Cores' worth; "max" and -1 are no limit."""
    try:
        microseconds, of = int(quota), int(period)
    except ValueError:
        return None
    return microseconds / of if microseconds > 0 and of > 0 else None
