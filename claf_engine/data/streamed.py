"""Images that do not fit where the network is: decoded when they are needed, ahead of time in other processes.

What is decoded depends on the image alone, so that a run gives the same bits as one whose images are all in memory.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from claf_engine.compute.seeding import derive_seed
from claf_engine.data.decoding import Form, Unusable, decode
from claf_engine.data.items import Items, Opened
from claf_engine.terms.errors import DataError, first_line

_THREADS = 8
_AHEAD = 2
"""Batches that each process has ready; memory is bounded by it."""

Batch = NDArray[np.uint8] | str
"""Images (B, C, H, W), or what is wrong with one of them."""


@dataclass(frozen=True)
class Reader:
    """Decodes single items into one form; a data set to torch's loader, which sends it to other processes."""

    items: Items
    form: Form

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> NDArray[np.uint8] | Unusable:
        """Levels (C, H, W) of one image."""
        return self.decoded(self.opened(index))

    def opened(self, index: int) -> Opened | Unusable:
        """The image at a place; only one at a time in one process, because data sets of others may not bear more."""
        name = self.items.name(index)
        try:
            return Opened(self.items.raw(index), name)
        except DataError as error:
            return Unusable(name, "cannot be read", str(error))

    def decoded(self, opened: Opened | Unusable) -> NDArray[np.uint8] | Unusable:
        """Levels (C, H, W) of what was opened; several at a time where there are threads for it."""
        if isinstance(opened, Unusable):
            return opened
        found = decode(opened.raw, opened.name, self.form)
        return found if isinstance(found, Unusable) else found.levels


def _gathered(found: Sequence[NDArray[np.uint8] | Unusable]) -> Batch:
    """One array of several images, which goes through a pipe and not through shared memory, that may be too small."""
    broken = next((each for each in found if isinstance(each, Unusable)), None)
    return (
        broken.sentence if broken is not None else np.stack([each for each in found if not isinstance(each, Unusable)])
    )


def _begin_worker(_: int) -> None:
    """Let a process that reads ahead end with the one that trains, and not before.

    A key that stops a run goes to all processes of a terminal. And where processes are begun by another one than that
    which trains, torch's own look at their parent does not see that it was killed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def _other_processes() -> BaseContext:
    """How processes are begun: as forks of a small one that has loaded this module, where there are forks.

    A fork of this process itself, which computes in threads, may hang.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


@dataclass
class _Plan:
    """The batches of places that are read next; torch's loader asks for them anew whenever it is iterated over."""

    batches: list[list[int]]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


class Streamed:
    """Images that are decoded when they are asked for.

    Indexed with a place, a slice or places (M,) they give uint8 images on the device, as a tensor (N, C, H, W) would.

    Args:
        reader: decodes one.
        rows: (N,) their places in the reader, in the order of the split.
        device: where images are wanted.
        workers: processes that read ahead; with none, what is planned is read when it is asked for.
    """

    def __init__(self, reader: Reader, rows: Tensor, device: torch.device, workers: int) -> None:
        self._reader, self._rows, self._device, self._workers = reader, rows, device, workers
        self._planned: deque[Tensor] = deque()
        self._plan = _Plan([])
        self._loader: DataLoader[Any] | None = None
        self._batches: Iterator[Batch] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> torch.Size:
        """N, channels, height, width."""
        return torch.Size((len(self), *self._reader.form.shape))

    def __getitem__(self, places: int | slice | Tensor) -> Tensor:
        """Read some images now.

        Raises:
            DataError: one cannot be read.
        """
        rows = self._rows[places.cpu() if isinstance(places, Tensor) else places]
        if rows.dim() == 0:
            return self._read(rows[None])[0]
        return self._read(rows)

    def select(self, places: Tensor | slice) -> "Streamed":
        """Some of the images, which are not read for it."""
        return Streamed(self._reader, self._rows[places], self._device, self._workers)

    def on(self, device: torch.device) -> "Streamed":
        """The same images, wanted on a device."""
        return Streamed(self._reader, self._rows, device, self._workers)

    def read_ahead(self, batches: Sequence[Tensor]) -> None:
        """Say which batches of places will be asked for by `ahead`, in that order; reading begins with the first.

        Empty ones, of a process that has no part in a batch, are never read.
        """
        self._planned, self._batches = deque(batch for batch in batches if len(batch)), None

    def ahead(self, places: Tensor) -> Tensor:
        """The next of the planned batches; any other is read now, and the plan is given up.

        Raises:
            DataError: an image cannot be read, or a process that reads them ended.
        """
        if not len(places):
            return self[places]
        if not self._workers or not self._planned or not torch.equal(self._planned[0], places):
            self._planned.clear()
            return self[places]
        if self._batches is None:
            self._plan.batches = [self._rows[batch].tolist() for batch in self._planned]
            self._batches = iter(self._loading())
        self._planned.popleft()
        try:
            return self._placed(next(self._batches))
        except RuntimeError as error:
            self.close()
            raise DataError(
                f"a process that reads images ahead ended ({first_line(error)}); make room in memory, in a "
                'script of yours begin with `if __name__ == "__main__":`, or read in one process with data.workers=0'
            ) from error

    def close(self) -> None:
        """End the processes that read ahead."""
        self._planned.clear()
        self._batches = self._loader = None

    def _loading(self) -> DataLoader[Any]:
        """The loader, whose processes stay from one plan to the next."""
        if self._loader is None:
            self._loader = DataLoader(
                self._reader,  # type: ignore[arg-type]
                batch_sampler=self._plan,
                num_workers=self._workers,
                collate_fn=_gathered,
                worker_init_fn=_begin_worker,
                multiprocessing_context=_other_processes(),
                persistent_workers=True,
                prefetch_factor=_AHEAD,
                generator=torch.Generator().manual_seed(derive_seed(0, "reading ahead")),
            )
        return self._loader

    def _read(self, rows: Tensor) -> Tensor:
        if not len(rows):
            return torch.empty((0, *self._reader.form.shape), dtype=torch.uint8, device=self._device)
        with ThreadPoolExecutor(_THREADS) as threads:
            return self._placed(
                _gathered(list(threads.map(self._reader.decoded, map(self._reader.opened, rows.tolist()))))
            )

    def _placed(self, batch: Batch) -> Tensor:
        if isinstance(batch, str):
            raise DataError(batch)
        return torch.from_numpy(batch).to(self._device)
