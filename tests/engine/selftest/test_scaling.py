import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claf_engine.selftest.scaling import (
    Cluster,
    Link,
    Work,
    all_gather,
    all_reduce,
    link_of,
    step_of,
    strong_efficiency,
    weak_efficiency,
)
from tests.properties import examples

LINK = Link(bandwidth=1e9, latency=1e-5, overhead=1e-4)
WORK = Work(flops=1e9, gradient_bytes=10**7, num_norms=10, norm_bytes=10**4, num_views=3, projection_dim=128)
CLUSTER = Cluster(flops=1e12, node_size=8, inside=LINK, between=replace(LINK, bandwidth=1e8))
WORLDS = st.integers(1, 1024)


def ring_by_hand(size: float, world: int, link: Link) -> float:
    """Every device sends a chunk to its neighbour, W - 1 times to add up and W - 1 times to tell."""
    return link.overhead + sum(link.latency + size / world / link.bandwidth for _ in range(2 * (world - 1)))


@pytest.mark.parametrize("world", [2, 3, 8])
def test_a_large_message_goes_round_the_ring_chunk_by_chunk(world: int) -> None:
    assert all_reduce(1e9, world, LINK) == pytest.approx(ring_by_hand(1e9, world, LINK))


def test_a_small_message_goes_up_and_down_the_tree() -> None:
    assert all_reduce(8, 512, LINK) == pytest.approx(1e-4 + 18 * 1e-5 + 16 / 1e9)


def test_a_gather_receives_what_every_other_device_has() -> None:
    assert all_gather(1e6, 4, LINK) == pytest.approx(1e-4 + 3 * (1e-5 + 1e-3))


def test_one_device_exchanges_nothing() -> None:
    step = step_of(WORK, CLUSTER, 1, 10)
    pairs = 3 * 2 * 30 * 30 * 128
    assert (step.gradients, step.projections, step.norms, step.edge) == (0, 0, 0, 0)
    assert step.seconds == pytest.approx((10 * 1e9 + pairs) / 1e12)


@examples(50)
@given(WORLDS, st.integers(1, 4096))
def test_no_device_does_more_among_others_than_alone(world: int, images: int) -> None:
    assert 0 < weak_efficiency(WORK, CLUSTER, world, images) <= 1
    assert 0 < strong_efficiency(WORK, CLUSTER, world, images * world) <= 1 + 1e-9


@examples(50)
@given(st.integers(1, 512), st.integers(1, 4096))
def test_more_devices_are_never_more_efficient(world: int, images: int) -> None:
    assert weak_efficiency(WORK, CLUSTER, 2 * world, images) <= weak_efficiency(WORK, CLUSTER, world, images)


def test_a_message_that_leaves_the_machine_is_bound_by_what_connects_machines() -> None:
    inside, beyond = (step_of(WORK, CLUSTER, world, 10).gradients for world in (8, 9))
    assert beyond > 9 * inside


def test_a_ring_through_machines_has_one_slow_hop_in_each() -> None:
    cluster = replace(CLUSTER, between=Link(bandwidth=1e8, latency=9e-5, overhead=2e-4))
    assert cluster.link(64) == Link(bandwidth=1e8, latency=pytest.approx(2e-5), overhead=2e-4)
    assert cluster.link(8) == LINK


def test_processes_beyond_the_cores_share_them() -> None:
    shared = replace(CLUSTER, cores=2)
    one, four = step_of(WORK, shared, 1, 10), step_of(WORK, shared, 4, 10)
    assert four.compute / one.compute == pytest.approx(2, rel=1e-3)


def test_without_projections_nothing_is_gathered() -> None:
    step = step_of(replace(WORK, projection_dim=0), CLUSTER, 8, 10)
    assert step.projections == 0
    assert step.compute == pytest.approx(10 * 1e9 / 1e12)


def test_a_link_gives_back_the_messages_that_it_was_fitted_to() -> None:
    link = link_of(small=2e-4, large=5e-2, size=10**7)
    assert all_reduce(10**7, 2, link) == pytest.approx(5e-2)
    assert all_reduce(0, 2, link) == pytest.approx(2e-4)
    assert math.isclose(link.overhead + 2 * link.latency, 2e-4)


def test_a_large_message_that_was_no_slower_is_refused() -> None:
    with pytest.raises(ValueError, match="measure again"):
        link_of(small=2e-4, large=1e-4, size=10**7)
