from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from claf_engine.compute.seeding import (
    ATTACK_STREAM,
    INIT,
    ORDER,
    VIEWS,
    continue_stream,
    derive_seed,
    generator_states,
    measurement_generator,
    training_generators,
)
from tests.properties import examples

CPU = torch.device("cpu")
PROPERTY = examples(50)
PURPOSES = st.lists(st.one_of(st.text(max_size=5), st.integers()), max_size=3)


def draws(generator: torch.Generator, num: int = 1000) -> Tensor:
    return torch.rand(num, generator=generator)


@PROPERTY
@given(st.integers(), PURPOSES)
def test_a_derived_seed_is_one_that_torch_takes(seed: int, purpose: list[str | int]) -> None:
    assert 0 <= derive_seed(seed, *purpose) < 2**63


@PROPERTY
@given(st.lists(st.tuples(st.integers(), PURPOSES.map(tuple)), min_size=2, unique=True))
def test_no_two_purposes_share_a_seed(keys: list[tuple[int, tuple[str | int, ...]]]) -> None:
    assert len({derive_seed(seed, *purpose) for seed, purpose in keys}) == len(keys)


def test_a_derived_seed_is_the_same_in_every_process() -> None:
    assert derive_seed(0, "order") == 3158364644068102879


def test_a_run_has_one_generator_per_purpose() -> None:
    assert training_generators(0, CPU).keys() == {ORDER, VIEWS, ATTACK_STREAM, INIT}


def test_equal_seeds_give_equal_streams() -> None:
    one, other = training_generators(5, CPU), training_generators(5, CPU)
    assert all(torch.equal(draws(one[purpose]), draws(other[purpose])) for purpose in one)


@pytest.mark.parametrize("purpose", [ORDER, VIEWS, ATTACK_STREAM, INIT])
def test_neighbouring_seeds_give_unrelated_streams(purpose: str) -> None:
    streams = torch.stack([draws(training_generators(seed, CPU)[purpose], 4000) for seed in range(4)])
    assert (torch.corrcoef(streams) - torch.eye(4)).abs().max() < 0.06


def test_the_streams_of_a_run_are_unrelated() -> None:
    streams = torch.stack([draws(generator, 4000) for generator in training_generators(0, CPU).values()])
    assert (torch.corrcoef(streams) - torch.eye(4)).abs().max() < 0.06


@pytest.mark.parametrize("drawn", [ORDER, VIEWS, ATTACK_STREAM, INIT])
def test_drawing_from_one_stream_leaves_the_others_alone(drawn: str) -> None:
    generators = training_generators(0, CPU)
    before = generator_states(generators)
    draws(generators[drawn])
    changed = {name for name, state in generator_states(generators).items() if not torch.equal(state, before[name])}
    assert changed == {drawn}


def test_making_generators_leaves_the_global_randomness_as_it_was() -> None:
    before = torch.get_rng_state()
    for generator in (*training_generators(0, CPU).values(), measurement_generator(0, "probe", CPU)):
        draws(generator)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_measurement_draws_the_same_every_time() -> None:
    first, second = (draws(measurement_generator(0, "probe", CPU)) for _ in range(2))
    assert torch.equal(first, second)


def test_two_kinds_of_measurement_draw_differently() -> None:
    one, other = (draws(measurement_generator(0, purpose, CPU)) for purpose in ("probe", "evaluation"))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("purpose", [ORDER, VIEWS, ATTACK_STREAM, INIT])
def test_a_measurement_never_repeats_what_training_draws(purpose: str) -> None:
    measured = draws(measurement_generator(0, purpose, CPU))
    assert not any(torch.equal(measured, draws(generator)) for generator in training_generators(0, CPU).values())


def test_a_stream_goes_on_from_its_saved_state() -> None:
    generator = training_generators(0, CPU)[VIEWS]
    draws(generator, 7)
    state = generator_states({VIEWS: generator})[VIEWS]
    expected = draws(generator)
    fresh = training_generators(99, CPU)[VIEWS]
    fresh.set_state(state)
    assert torch.equal(draws(fresh), expected)


def test_saved_states_are_bytes_that_differ_between_streams() -> None:
    states = generator_states(training_generators(0, CPU))
    assert {state.dtype for state in states.values()} == {torch.uint8}
    assert not any(torch.equal(one, other) for one, other in combinations(states.values(), 2))


def test_a_stream_of_another_kind_of_device_begins_anew_and_always_alike() -> None:
    draws = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(1)
        continue_stream(generator, torch.zeros(16, dtype=torch.uint8), 77)
        draws.append(torch.rand(3, generator=generator))
    assert torch.equal(*draws)
    assert torch.equal(draws[0], torch.rand(3, generator=torch.Generator().manual_seed(77)))
