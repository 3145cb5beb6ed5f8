"""How the processes of a run find each other, and part."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from claf_engine.compute.device import collective_backend
from claf_engine.compute.world import World, reaching
from claf_engine.config.launch import Launch
from claf_engine.terms.errors import ProcessLost

PATIENCE = timedelta(hours=2)
"""So long one process waits for the others: longer than any step, measurement or download. A dead one is noticed at
once; this is for one that hangs."""
MEETING = timedelta(minutes=10)
"""So long the processes may take to come, while some still load what others have loaded."""
LOOK_SECONDS = 0.05


@contextmanager
def joined(launch: Launch) -> Iterator[World]:
    """Find the other processes of a launch, and leave them in the end.

    Raises:
        ProcessLost: they cannot be reached.
    """
    if launch.size == 1:
        yield World()
        return
    with reaching():
        store, _, _ = next(rendezvous("env://", launch.rank, launch.size, timeout=MEETING))
        place = meeting_place(store, launch.rank, launch.size)
        backend = collective_backend()
        dist.init_process_group(backend, store=place, rank=launch.rank, world_size=launch.size, timeout=PATIENCE)
    yield World(launch.rank, launch.size, launch.local_rank, launch.local_size)
    # Not after an error: others may be waiting for this process, and only its death tells them not to.
    dist.destroy_process_group()


def meeting_place(store: Store, rank: int, size: int) -> Store:
    """The part of a store that belongs to these very processes.

    torchrun's store outlives them: after a restart it still holds the addresses of those that died, and neither the
    number of restarts, which a new machine counts from 0, nor the number of processes tells one start from another. So
    every process but the first says a word that nobody said before, and the first one answers to it.

    Raises:
        ProcessLost: a process has not come in time.
    """
    if rank:
        word = uuid4().hex
        store.set(f"hello {rank}", word)
        store.wait([f"welcome {word}"], MEETING)
        place = store.get(f"welcome {word}").decode()
        store.set(f"{place} {rank}", "here")
        return PrefixStore(place, store)
    place, words, deadline = uuid4().hex, dict[int, str](), time.monotonic() + MEETING.total_seconds()
    missing = set(range(1, size))
    while missing:
        for other in sorted(missing):
            # A word of a process that died is answered as well, and nobody hears it.
            if store.check([f"hello {other}"]) and (word := store.get(f"hello {other}").decode()) != words.get(other):
                words[other] = word
                store.set(f"welcome {word}", place)
        missing = {other for other in missing if not store.check([f"{place} {other}"])}
        if missing and time.monotonic() > deadline:
            raise ProcessLost(f"process {min(missing)} of {size} has not come within {MEETING}; start all of them")
        time.sleep(LOOK_SECONDS if missing else 0)
    return PrefixStore(place, store)
