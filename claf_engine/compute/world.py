"""The processes that train one run together, and what they do together; a single one needs no torch.distributed.

Every process plays the whole run: it draws the same numbers, holds the same weights and takes the same decisions. What
is shared out are rows: of a batch, process r of W takes rows r, r + W, r + 2W, ..., and adds its share to one loss,
which is that of the whole batch. So the loss, the gradients and with them the weights are those of a single process, up
to the order in which numbers are added.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from claf_engine.terms.errors import DataError, ProcessLost, first_line


@dataclass(frozen=True)
class World:
    """This process among those that train together.

    Attributes:
        rank: number of this process, 0 to `size` - 1; the first one owns the run's folder.
        size: how many there are.
        local_rank: number among those of this machine, and of the accelerator that it takes.
        local_size: how many there are on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_single(self) -> bool:
        """Whether there is nobody to talk to; then nothing below does anything."""
        return self.size == 1

    def turns(self, count: int) -> range:
        """Which of `count` pieces of work this process does, one in each turn; in the last one there may be none left.

        Every process has as many turns as the others; a number that is no piece's, `count` or more, is a turn without
        work.
        """
        return range(self.rank, self.rank + -(-count // self.size) * self.size, self.size)

    def part(self, total: int) -> "Part":
        """What this process takes of `total` rows."""
        return Part(self, total)

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up, in place, what all processes hold; the same in all of them afterwards."""
        if not self.is_single:
            with reaching():
                dist.all_reduce(tensor)
        return tensor

    def sum_gradients(self, parameters: Sequence[Tensor], loss: Tensor) -> None:
        """Add up, in place, the gradients of all processes and their shares of the loss (0-d), in one message."""
        if self.is_single:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([loss.reshape(1).to(gradients[0].dtype), *(gradient.flatten() for gradient in gradients)])
        summed = torch.split(self.sum(flat), [1, *(gradient.numel() for gradient in gradients)])
        loss.copy_(summed[0].view_as(loss))
        for gradient, found in zip(gradients, summed[1:], strict=True):
            gradient.copy_(found.view_as(gradient))

    def largest(self, values: Sequence[int]) -> list[int]:
        """Of each value the largest that a process has."""
        if self.is_single:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.int64)
        with reaching():
            dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return tensor.tolist()

    def tell(self, plain: Any = None) -> Any:
        """What the first process says, in plain values as JSON has them; what the others say is not heard."""
        return plain if self.is_single else json.loads(self.send(json.dumps(plain).encode()))

    def send(self, data: bytes) -> bytes:
        """The bytes of the first process; those of the others are left aside."""
        (length,) = self.largest([len(data) if self.rank == 0 else 0])
        if self.is_single or not length:
            return data[:length]
        held = torch.empty(length, dtype=torch.uint8)
        if self.rank == 0:
            held.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        with reaching():
            dist.broadcast(held, 0)
        return held.numpy().tobytes()

    @contextmanager
    def copied(self, path: Path | None) -> Iterator[Path | None]:
        """A file of the first process, for a while, where every process can read it; the name stays the same.

        The others need not see the folder that it lies in.

        Args:
            path: in the first process, where it lies, or None where there is none; the others' is not looked at.
        """
        name = self.tell(None if path is None or self.rank else path.name)
        if name is None or self.is_single:
            yield path if name is not None else None
            return
        data = self.send(path.read_bytes() if path is not None and self.rank == 0 else b"")
        with TemporaryDirectory() as folder:
            if self.rank:
                path = Path(folder) / name
                path.write_bytes(data)
            yield path

    def wait(self) -> None:
        """Wait until every process has come here."""
        self.largest([0])

    def require_same(self, what: str, digest: str) -> None:
        """Refuse to go on where a process holds something else than the first one.

        Args:
            what: it is, as the beginning of a sentence.
            digest: of what this process holds.

        Raises:
            DataError: in every process, with the number of one that differs.
        """
        differing = self.size - self.rank if digest != self.tell(digest) else 0
        (found,) = self.largest([differing])
        if found:
            raise DataError(
                f"{what} of process {self.size - found} are not those of process 0; all machines need the same files"
            )


@dataclass(frozen=True)
class Part:
    """What a process takes of some rows: every `world.size`-th, beginning with its own number. It may be none.

    Attributes:
        total: rows of all processes together.
    """

    world: World
    total: int

    @property
    def is_whole(self) -> bool:
        """Whether it is all of them."""
        return self.world.is_single

    @property
    def counts(self) -> tuple[int, ...]:
        """Rows of each process; they differ by at most one."""
        size = self.world.size
        return tuple(len(range(rank, self.total, size)) for rank in range(size))

    @property
    def count(self) -> int:
        """Rows of this process."""
        return self.counts[self.world.rank]

    @property
    def begin(self) -> int:
        """Where the rows of this process begin in what `gather` gives."""
        return sum(self.counts[: self.world.rank])

    def take(self, rows: Tensor) -> Tensor:
        """The rows of this process, of all (total, ...)."""
        return rows if self.is_whole else rows[self.world.rank :: self.world.size]

    def share_of(self, mean: Tensor) -> Tensor:
        """What a mean (0-d) over the rows of this process adds to the mean over all; nothing where it has none."""
        if self.is_whole:
            return mean
        # A mean over nothing is NaN. Its graph is kept, for backward passes meet too.
        return mean * (self.count / self.total) if self.count else mean.nan_to_num(0.0)

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes (total, ...), one process after the other, without a graph.

        Args:
            rows: (count, ...), of the same type and, but for their number, of the same shape in every process.
        """
        if self.is_whole:
            return rows
        most = self.counts[0]
        padded = rows.new_zeros((most, *rows.shape[1:]))
        padded[: self.count] = rows
        found = [torch.empty_like(padded) for _ in self.counts]
        with reaching():
            dist.all_gather(found, padded)
        return torch.cat([block[:count] for block, count in zip(found, self.counts, strict=True)])

    def in_order(self, gathered: Tensor) -> Tensor:
        """Gathered rows (total, ...) in the order that they have in the batch."""
        if self.is_whole:
            return gathered
        size = self.world.size
        of_batch = torch.cat([torch.arange(rank, self.total, size) for rank in range(size)])
        return gathered[of_batch.argsort().to(gathered.device)]

    def gather_with_graph(self, rows: Tensor) -> Tensor:
        """The same with an exact gradient: what every process makes of this one's rows comes back to them, added up."""
        if self.is_whole:
            return rows
        gathered: Tensor = _Gathered.apply(rows, self)
        return gathered


class _Gathered(torch.autograd.Function):
    """Rows of all processes. The loss is a sum over processes, and each of its terms may depend on all rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, part: Part) -> Tensor:
        ctx.part = part
        return part.gather(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        part: Part = ctx.part
        summed = part.world.sum(gradient.contiguous())
        return summed[part.begin : part.begin + part.count], None


@contextmanager
def reaching() -> Iterator[None]:
    """Say in one sentence that another process cannot be reached.

    Raises:
        ProcessLost: in place of what torch says.
    """
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise ProcessLost(
            "another process of the run is gone or cannot be reached; the run can go on from its last checkpoint, as "
            f"torchrun --max-restarts=3 lets it by itself ({_cause(error)})"
        ) from error


def _cause(error: BaseException) -> str:
    """What torch says, without the place in its source and without advice."""
    return re.sub(r"^\[[^]]*\]\s*", "", first_line(error)).split(". This is", 1)[0]
