"""What is known of the machine: a short history of looks at it, bounded like everything else."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from claf_engine.compute.machine import MachineSample
from claf_engine.runs import Holder

SAMPLE_SECONDS = 2.0
"""Between two looks."""
MAX_SAMPLES = 60


@dataclass(frozen=True)
class MachineState:
    """The last looks at the machine, the newest last.

    Attributes:
        owner: which process is looked at, in words.
        note: what a reader must know of whose machine this is; empty where it is the one that trains.
    """

    samples: tuple[MachineSample, ...] = ()
    owner: str = "this one trains"
    note: str = ""

    @property
    def newest(self) -> MachineSample | None:
        """The last look, if there was one."""
        return self.samples[-1] if self.samples else None

    def heard(self, sample: MachineSample) -> "MachineState":
        """The state after one more look."""
        return replace(self, samples=(*self.samples, sample)[-MAX_SAMPLES:])


class Whereabouts(NamedTuple):
    """Which process to look at for a run that is watched; None is the console's own."""

    pid: int | None
    owner: str
    note: str = ""


def whereabouts(holder: Holder, *, is_training: bool, host: str) -> Whereabouts:
    """Find the process that trains a run, and say whose machine is shown where that is not the run's.

    Args:
        holder: who holds the run's lock, or held it last.
        is_training: whether somebody holds it.
        host: the machine that the console runs on.
    """
    if holder.host not in (None, host):
        note = f"these are loads of {host}, where this console runs; the run belongs to {holder.host}"
        return Whereabouts(None, "this console", note)
    if not is_training:
        return Whereabouts(None, "this console", "no process trains this run; these are loads of this machine")
    return Whereabouts(holder.pid, f"process {holder.pid} trains" if holder.pid else "this console")
