"""A run that leaves its threads to us has as many of them as cores are free, looked at again every few seconds."""

import torch

from claf_engine.compute.core_share import CoreShare, Load, load_between, read
from claf_engine.compute.cores import usable_cores
from claf_engine.compute.device import Compute
from claf_engine.config import RuntimeConfig

FIT_SECONDS = 2.0
"""Between two readings of what the cores do: the system counts in hundredths of a second."""


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

    def look(self) -> Load | None:
        """What became of the cores since the last look, where the number of threads has to change; they do.

        `num_threads` says how many there are from now on.
        """
        if self._share is None:
            return None
        before, self._before = self._before, read()
        load = load_between(before, self._before)
        threads = self._share.threads
        if load is None or self._share.take(load) == threads:
            return None
        torch.set_num_threads(self._share.threads)
        return load

    @property
    def num_threads(self) -> int:
        """How many there are."""
        return torch.get_num_threads() if self._share is None else self._share.threads
