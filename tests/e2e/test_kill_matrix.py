"""Killed with SIGKILL in any phase of any method, and at any named point of a save: a run goes on to the same bits."""

import random
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest

from claf_engine.config import RunConfig
from claf_engine.terms.names import Method
from claf_engine.training.methods import phases_of
from tests.e2e.deaths import Death
from tests.e2e.kills import POINTS, SETTINGS, Outcome, begun, dying, outcome, phases, run_of, survives
from tests.e2e.processes import Nursery
from tests.soak import KILLS, SEED

pytestmark = pytest.mark.slow
METHODS: tuple[Method, ...] = get_args(Method)
PHASES = [
    (method, phase)
    for method in METHODS
    for phase in (
        *(phase.name for phase in phases_of(RunConfig.model_validate({**tomllib.loads(SETTINGS), "method": method}))),
        "test",
    )
]
Record = Callable[[str, object], None]


class Whole(NamedTuple):
    """A run that nobody disturbed: what it came to, and the steps of each of its phases."""

    outcome: Outcome
    phases: dict[str, list[int]]


@pytest.fixture(scope="module")
def whole(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Whole]:
    """Runs a method whole, when it is first asked for."""
    known: dict[str, Whole] = {}

    def get(method: str) -> Whole:
        if method not in known:
            folder = tmp_path_factory.mktemp("whole")
            done = nursery.claf(folder, *begun(folder, method, "whole"))
            assert done.returncode == 0, done.stderr
            run = run_of(folder, "whole")
            assert run is not None
            known[method] = Whole(outcome(run), phases(run))
        return known[method]

    return get


@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_at_a_named_point_ends_bit_identical(
    nursery: Nursery, whole: Callable[[str], Whole], tmp_path: Path, point: str
) -> None:
    assert survives(nursery, tmp_path, "natural", POINTS[point], {}) == whole("natural").outcome


def test_a_watched_run_that_dies_nowhere_is_one_that_is_not_watched(
    nursery: Nursery, whole: Callable[[str], Whole], tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    done = nursery.claf(tmp_path, *begun(tmp_path, "natural", "watched"), first=dying(None, trace))
    run = run_of(tmp_path, "watched")
    assert done.returncode == 0
    assert run is not None
    assert outcome(run) == whole("natural").outcome
    assert {line.split()[0] for line in trace.read_text().splitlines()} == {
        "create", "write", "fsync", "replace", "unlink"
    }  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_a_run_of_any_method_killed_at_a_random_step_ends_bit_identical(
    nursery: Nursery, whole: Callable[[str], Whole], tmp_path: Path, method: str
) -> None:
    choose = random.Random(f"{SEED} {method}")
    undisturbed = whole(method)
    death = death_in(choose.choice(list(undisturbed.phases)), undisturbed, choose)
    assert survives(nursery, tmp_path, method, [death], {}) == undisturbed.outcome, f"seed {SEED}: {death}"


@pytest.mark.skipif(not KILLS, reason="make soak sets CLAF_SOAK_KILLS")
@pytest.mark.soak
@pytest.mark.parametrize("number", range(KILLS))
def test_a_soak_of_kills_over_all_methods_phases_and_points(
    nursery: Nursery, whole: Callable[[str], Whole], tmp_path: Path, record_property: Record, number: int
) -> None:
    choose = random.Random(f"{SEED} {number}")
    turn = number // 2
    told: dict[str, Any] = {}
    record_property("kill", told)
    if number % 2:
        method, point = choose.choice(METHODS), list(POINTS)[turn % len(POINTS)]
        undisturbed, deaths = whole(method), POINTS[point]
    else:
        method, phase = PHASES[turn % len(PHASES)]
        undisturbed, point = whole(method), f"{method}: {phase}"
        deaths = (death_in(phase, undisturbed, choose),)
    told |= {"where": point, "method": method}
    told["identical"] = survives(nursery, tmp_path, method, deaths, told) == undisturbed.outcome
    assert told["identical"], f"seed {SEED}, number {number}: {method}, {deaths}"


def test_every_phase_of_every_method_has_its_turn(whole: Callable[[str], Whole]) -> None:
    assert [phase for method, phase in PHASES if method == "claf"] == list(whole("claf").phases)


def death_in(phase: str, whole: Whole, choose: random.Random) -> Death:
    """A death in a phase: at the record of a random step of it, or a moment later."""
    delay = choose.choice([0.0, choose.uniform(0, 0.02)])
    when = "soon after" if delay else choose.choice(["before", "halfway", "after"])
    steps = whole.phases[phase]
    if not steps:  # the test on test images
        return Death("write", "*/events.jsonl", when, 1, f'"name": "{phase}"', delay)
    return Death("write", "*/metrics.jsonl", when, 1, f'"type": "StepLogged", "step": {choose.choice(steps)},', delay)
