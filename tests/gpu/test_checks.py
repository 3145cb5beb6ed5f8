"""The checks of `claf-tui doctor --gpu`, as tests."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from claf_engine.events.ticks import Boundary, Tick
from claf_engine.selftest.checks import CHECKS, RATES, accelerator_places, row_of
from claf_engine.selftest.findings import Check
from claf_engine.selftest.places import Places, Scale
from claf_engine.selftest.stage import play_without_waiting
from claf_engine.training.methods import phases_of
from tests.engine.compute.test_device_agnostic import LOOPS, SWEEPS
from tests.engine.tiny import tiny_config

pytestmark = pytest.mark.gpu

QUICK = Scale(timed_width=16, timed_batch=64, repeats=2, matrix=1024)


@pytest.fixture(scope="module")
def places() -> Places:
    return accelerator_places()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_check_passes(check: Check, places: Places) -> None:
    row = row_of(check, places)
    assert row.verdict == "passes", f"{row.result}: {row.figure}"


@pytest.mark.parametrize("check", RATES, ids=lambda check: check.name)
def test_the_rate_is_measured(check: Check, places: Places) -> None:
    row = row_of(check, replace(places, scale=QUICK))
    assert row.verdict in {"passes", "warns"}, f"{row.result}: {row.figure}"
    assert row.figure


@pytest.mark.parametrize("loop", LOOPS)
def test_once_warm_no_step_waits(loop: str, places: Places) -> None:
    make, changes = LOOPS[loop]
    session = places.session(places.training, tiny_config(**changes))
    play_without_waiting(make(session), session.steps_per_sweep * SWEEPS.get(loop, 1), places.compute)


def test_a_step_that_waits_is_found(places: Places) -> None:
    session = places.session(places.training, tiny_config(method="natural"))

    def reading() -> Iterator[Tick]:
        for tick in phases_of(session.config)[0].play(session):
            if isinstance(tick, Boundary):
                float(tick.loss)
            yield tick

    with pytest.raises(RuntimeError, match="synchronizing"):
        play_without_waiting(reading(), session.steps_per_sweep, places.compute)
    assert float(session.state.loss_sum) > 0, "afterwards waiting is allowed again"
