"""A run that leaves its threads to us has as many of them as cores are free, looked at again every few seconds."""

from dataclasses import dataclass

import torch

from claf_engine.compute.core_share import CoreShare, load_between, read
from claf_engine.compute.cores import usable_cores
from claf_engine.compute.device import Compute
from claf_engine.config import RuntimeConfig

FIT_SECONDS = 2.0
"""Between two readings of what the cores do: the system counts in hundredths of a second."""


@dataclass(frozen=True)
class Fitted:
    """How many threads there are from now on, because so many cores were free."""

    threads: int
    free: float


class FittingThreads:
    """Reads what becomes of the cores between two calls.

    Call it in the thread that trains: the number of threads belongs to the calling thread.

    Args:
        compute: what the run began with.
        runtime: where it says how many threads there are to be, that stays; so does one of several processes, which
            share out the cores among themselves, and what an accelerator computes.
    """

    def __init__(self, compute: Compute, runtime: RuntimeConfig) -> None:
        is_ours = runtime.threads is None and compute.device.type == "cpu" and compute.world.is_single
        self._share = CoreShare(compute.threads, usable_cores()) if is_ours else None
        self._before = read() if is_ours else None

    def look(self) -> Fitted | None:
        """Have as many threads as the cores since the last look allow; None where that changes nothing."""
        if self._share is None:
            return None
        before, self._before = self._before, read()
        load = load_between(before, self._before)
        threads = self._share.threads
        if load is None or self._share.take(load) == threads:
            return None
        torch.set_num_threads(self._share.threads)
        return Fitted(self._share.threads, load.free)
