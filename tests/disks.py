"""What no test can see: whether what was written has reached a disk. None cuts the power, so none waits for it."""

import os


def spare_disks() -> None:
    """Let this process, and those that it forks, flush to no disk; what is no open file stays an error.

    That everything is flushed, in which order, and what happens where it cannot be, are calls, which tests still see.
    """
    os.fsync = _require_open


def _require_open(descriptor: int) -> None:
    os.fstat(descriptor)
