from dataclasses import replace

import pytest
import torch

from claf_engine.audits.bench import Bench
from claf_engine.audits.checks.transfer import CHECKS
from claf_engine.audits.diagnostic import Finding, NotRun
from tests.engine.audits.fixtures import (
    BUDGET,
    RELEASED,
    SOUND,
    Build,
    Damage,
    Linear,
    bench_of,
    check_of,
    found,
    gradient_killed,
    images_of,
    misclassified,
    quantised,
    robust,
    robust_linear,
    undefended,
)

QUICK = replace(BUDGET, name="quick")


def examined(bench: Bench) -> Finding:
    return found(check_of(CHECKS, "transfer"), bench)


@pytest.mark.parametrize("build", SOUND)
def test_a_network_that_hides_nothing_passes_with_a_second_model(build: Build) -> None:
    finding = examined(bench_of(build(), surrogate=undefended()))
    assert (finding.verdict, finding.values["surrogate"]) == ("passes", "given")


@pytest.mark.parametrize("damage", [gradient_killed, quantised])
def test_hidden_gradients_fail_and_the_worst_case_knows(damage: Damage) -> None:
    bench = bench_of(damage(undefended()), surrogate=undefended())
    finding = examined(bench)
    assert finding.verdict == "fails"
    assert finding.values["broken_by_transfer_only"] > 0.5
    assert float(bench.worst_case().double().mean()) <= finding.values["transfer"]


def test_a_second_model_is_trained_where_none_is_given() -> None:
    train = images_of(400, seed=5)
    masked = examined(bench_of(gradient_killed(undefended()), train=train))
    assert (masked.verdict, masked.values["surrogate"]) == ("fails", "trained here")
    assert masked.values["surrogate_accuracy"] > 0.5


def test_a_robust_network_passes_with_a_model_trained_for_it() -> None:
    assert examined(bench_of(robust(), train=images_of(400, seed=5))).verdict == "passes"


def test_training_a_second_model_repeats_and_leaves_global_randomness_alone() -> None:
    before = torch.get_rng_state()
    once = replace(BUDGET, surrogate_epochs=3)
    benches = [bench_of(robust_linear(), train=images_of(200, seed=5), budget=once) for _ in range(2)]
    assert examined(benches[0]) == examined(benches[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_given_model_serves_the_smallest_budget() -> None:
    assert examined(bench_of(robust(), surrogate=undefended(), budget=QUICK)).verdict == "passes"


def test_the_smallest_budget_trains_none_and_is_not_run() -> None:
    with pytest.raises(NotRun, match="give one with --surrogate, or let --budget standard train one"):
        examined(bench_of(robust(), train=images_of(), budget=QUICK))


def test_without_training_images_it_is_not_run() -> None:
    with pytest.raises(NotRun, match="no images to train one on: give one with --surrogate"):
        examined(bench_of(robust()))


def test_a_second_model_of_other_classes_is_not_run() -> None:
    with pytest.raises(NotRun, match="knows 7 classes and the audited one 4"):
        examined(bench_of(robust(), surrogate=Linear(torch.zeros(7, 3, 8, 8))))


def test_a_second_model_that_guesses_is_not_run() -> None:
    with pytest.raises(NotRun, match=r"is right about 25\.0 % only, and guessing about 25\.0 %"):
        examined(bench_of(robust(), surrogate=Linear(torch.zeros(4, 3, 8, 8))))


def test_nothing_passes_where_nothing_is_classified_correctly() -> None:
    with pytest.raises(NotRun, match="no image is classified correctly"):
        examined(bench_of(robust(), misclassified(robust()), surrogate=undefended()))


@pytest.mark.parametrize("space", ["pixel", "released-code"])
def test_outcomes_say_that_they_were_made_on_a_second_model_and_in_which_space(space: str) -> None:
    bench = bench_of(robust(), surrogate=robust_linear(), **({} if space == "pixel" else {"space": RELEASED}))
    examined(bench)
    made = [outcome.recipe for outcome in bench.outcomes.values() if outcome.recipe]
    second = [recipe for recipe in made if recipe.attack == "transfer"]
    assert [recipe.step_size for recipe in second] == ["4/1275", "2/255"]
    assert {recipe.space for recipe in second} == {space}
