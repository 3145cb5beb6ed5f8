import threading
from datetime import timedelta
from typing import Any

import pytest
from torch.distributed import HashStore

from claf_engine.compute import joining
from claf_engine.compute.joining import joined, meeting_place
from claf_engine.compute.world import World
from claf_engine.config.launch import Launch
from claf_engine.terms.errors import ProcessLost


def meet(store: HashStore, size: int) -> dict[int, Any]:
    """The places where so many processes meet, by their numbers."""
    places: dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda rank=rank: places.update({rank: meeting_place(store, rank, size)}))
        for rank in range(size)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return places


def test_processes_meet_where_none_of_those_that_died_has_left_anything() -> None:
    store = HashStore()
    before = meet(store, 3)
    before[1].set("address", "of a process that died")
    assert before[2].get("address") == b"of a process that died", "the control: they share a place"
    after = meet(store, 3)
    after[1].set("met", "now")
    assert [place.check(["address"]) for place in after.values()] == [False] * 3
    assert after[0].get("met") == b"now"


def test_a_process_that_does_not_come_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "MEETING", timedelta(seconds=0.1))
    with pytest.raises(ProcessLost, match="process 1 of 2 has not come"):
        meeting_place(HashStore(), 0, 2)


def test_a_process_that_nobody_launched_with_others_is_alone() -> None:
    with joined(Launch()) as world:
        assert world == World()
