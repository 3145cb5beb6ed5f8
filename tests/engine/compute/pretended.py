"""Several processes in one, whose rows are all at hand: what they exchange is exact by construction."""

from dataclasses import dataclass

import torch
from torch import Tensor

from claf_engine.compute.world import Part, World


@dataclass(frozen=True)
class PretendedPart(Part):
    """The part of one process, which is given what the others hold, graph and all.

    Attributes:
        everything: what is gathered, by the number of columns that it has.
    """

    everything: tuple[Tensor, ...] = ()

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all, one process after the other."""
        whole = next(
            whole for whole in self.everything if whole.shape[1:] == rows.shape[1:] and whole.dtype == rows.dtype
        )
        return torch.cat([whole[rank :: self.world.size] for rank in range(self.world.size)])

    def gather_with_graph(self, rows: Tensor) -> Tensor:
        """The same."""
        return self.gather(rows)


def pretended(size: int, *everything: Tensor) -> list[PretendedPart]:
    """The parts of so many processes in the same rows."""
    total = len(everything[0])
    return [PretendedPart(World(rank, size), total, everything) for rank in range(size)]
