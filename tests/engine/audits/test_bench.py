from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from claf_engine.audits.bench import NATURAL, Bench, Outcome
from claf_engine.events.ticks import exhaust
from tests.engine.audits.fixtures import BUDGET, EPSILON, bench_of, images_of, undefended_linear


def outcome(label: str, digits: str, *, is_in_ball: bool = True) -> Outcome:
    return Outcome(label, torch.tensor([digit == "1" for digit in digits]), is_in_ball, 0.0, 0.0)


@pytest.fixture
def bench() -> Bench:
    return bench_of(undefended_linear())


def test_what_was_run_once_is_found(bench: Bench) -> None:
    first = exhaust(bench.attack(steps=2))
    assert exhaust(bench.attack(steps=2)) is first
    assert list(bench.outcomes) == [NATURAL, first.label]


def test_attacks_that_differ_in_anything_are_told_apart(bench: Bench) -> None:
    exhaust(bench.attack(steps=2))
    exhaust(bench.attack(steps=3))
    exhaust(bench.attack(steps=2, restarts=2))
    exhaust(bench.attack(steps=2, epsilon=EPSILON / 2))
    exhaust(bench.attack(steps=2, step_size=Fraction(1, 255)))
    exhaust(bench.attack("fgsm"))
    assert len(bench.outcomes) == 7


def test_an_outcome_carries_the_recipe_of_its_attack(bench: Bench) -> None:
    recipe = exhaust(bench.attack(steps=2, restarts=3, step_size=Fraction(4, 255))).recipe
    assert recipe is not None
    assert (recipe.attack, recipe.epsilon, recipe.space, recipe.norm) == ("pgd", "8/255", "pixel", "linf")
    assert (recipe.steps, recipe.step_size, recipe.restarts, recipe.precision) == (2, "4/255", 3, "fp32")


def test_a_larger_ball_than_the_claims_does_not_count(bench: Bench) -> None:
    assert exhaust(bench.attack(steps=1)).is_in_ball
    assert exhaust(bench.attack(steps=1, epsilon=EPSILON / 2)).is_in_ball
    assert not exhaust(bench.attack(steps=1, epsilon=2 * EPSILON)).is_in_ball


def test_every_new_outcome_is_kept_once() -> None:
    kept: list[str] = []
    subject = bench_of(undefended_linear()).subject
    bench = Bench(subject, BUDGET, keep=lambda outcome: kept.append(outcome.label))
    exhaust(bench.attack(steps=1))
    exhaust(bench.attack(steps=1))
    assert kept == list(bench.outcomes)


def test_of_two_outcomes_under_one_label_none_is_lost(bench: Bench) -> None:
    count = len(bench.subject.split)
    bench.record(outcome("square", "01" * (count // 2)))
    bench.record(outcome("square", "10" * (count // 2)))
    assert not bench.worst_case().any()


@given(st.lists(st.tuples(st.lists(st.booleans(), min_size=6, max_size=6), st.booleans()), max_size=6))
def test_the_worst_case_is_never_above_any_attack_in_the_ball(outcomes: list[tuple[list[bool], bool]]) -> None:
    bench = bench_of(undefended_linear(), images_of(6))
    for number, (survives, is_in_ball) in enumerate(outcomes):
        bench.record(Outcome(str(number), torch.tensor(survives), is_in_ball, 0.0, 0.0))
    worst = bench.worst_case()
    counting = [item for item in bench.outcomes.values() if item.is_in_ball]
    assert all(float(worst.double().mean()) <= item.accuracy for item in counting)
    assert all(bool(item.survives[worst].all()) for item in counting)
    assert bool(worst.all()) == all(bool(item.survives.all()) for item in counting)
