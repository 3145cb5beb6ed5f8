from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from claf_engine.compute.world import Part, World, reaching
from claf_engine.terms.errors import ProcessLost

SIZES = st.integers(1, 9)
TOTALS = st.integers(0, 40)


@given(SIZES, TOTALS)
def test_the_parts_of_all_processes_hold_every_row_once(size: int, total: int) -> None:
    parts = [Part(World(rank, size), total) for rank in range(size)]
    rows = torch.arange(total)
    taken = [part.take(rows) for part in parts]
    assert [len(own) for own in taken] == [part.count for part in parts] == list(parts[0].counts)
    assert sorted(torch.cat(taken).tolist()) == rows.tolist()
    assert [part.begin for part in parts] == [sum(parts[0].counts[:rank]) for rank in range(size)]


@given(SIZES, TOTALS)
def test_every_process_has_as_many_turns_as_the_others_and_every_piece_is_done_once(size: int, count: int) -> None:
    turns = [list(World(rank, size).turns(count)) for rank in range(size)]
    assert len({len(own) for own in turns}) == 1
    assert sorted(number for own in turns for number in own if number < count) == list(range(count))


@given(SIZES, st.integers(1, 40))
def test_shares_of_means_add_up_to_the_mean_of_all(size: int, total: int) -> None:
    values = torch.rand(total, dtype=torch.float64)
    parts = [Part(World(rank, size), total) for rank in range(size)]
    shares = [part.share_of(part.take(values).mean()) for part in parts]
    assert float(sum(shares)) == pytest.approx(float(values.mean()), abs=1e-12)


def test_the_share_of_no_rows_is_nothing_and_still_has_a_graph() -> None:
    weight = torch.ones(3, requires_grad=True)
    share = Part(World(1, 2), 1).share_of((torch.empty(0, 3) * weight).mean())
    share.backward()  # type: ignore[no-untyped-call]
    assert float(share.detach()) == 0
    assert weight.grad is not None
    assert not weight.grad.any()


def test_a_share_that_is_not_a_number_stays_none() -> None:
    assert Part(World(0, 2), 4).share_of(torch.tensor(float("nan"))).isnan()


def test_a_single_process_talks_to_nobody(tmp_path: Path) -> None:
    world, tensor = World(), torch.ones(2)
    part = world.part(2)
    assert world.sum(tensor) is tensor
    assert part.take(tensor) is part.gather(tensor) is part.gather_with_graph(tensor) is tensor
    assert (world.largest([3]), world.tell({"a": 1}), world.send(b"x")) == ([3], {"a": 1}, b"x")
    with world.copied(tmp_path) as path:
        assert path == tmp_path
    with world.copied(None) as nothing:
        assert nothing is None
    world.require_same("the images", "anything")
    world.wait()


def test_a_process_that_cannot_be_reached_is_told_of_in_one_sentence() -> None:
    told = "[/a/gloo/pair.cc:561] Connection closed by peer [127.0.0.1]:35756. This is typically caused by a crash."
    with pytest.raises(ProcessLost) as caught, reaching():
        raise RuntimeError(told)
    assert str(caught.value).endswith("lets it by itself (Connection closed by peer [127.0.0.1]:35756)")
