from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from claf_engine.audits.bench import Bench
from claf_engine.audits.checks.classifiers import CHECKS, beyond_pgd
from claf_engine.audits.diagnostic import Finding, NotRun
from tests.engine.audits.fixtures import (
    BUDGET,
    Damage,
    found,
    gradient_killed,
    images_of,
    misclassified,
    refitting_bench,
    robust,
    robust_network,
    saturated,
    undefended,
    undefended_network,
)
from tests.engine.tiny import exhaust

KINDS = {"natural", "adversarial", "nearest mean"}


def examined(begun: Bench) -> Finding:
    return found(CHECKS[0], begun)


@pytest.mark.parametrize("damage", [lambda model: model, saturated])
def test_an_adversarially_trained_network_passes(damage: Damage) -> None:
    finding = examined(refitting_bench(damage(robust()), robust_network()))
    assert finding.verdict == "passes"
    assert finding.values["worst"] == pytest.approx(0.8)


def test_of_an_undefended_network_nothing_is_left_to_find() -> None:
    finding = examined(refitting_bench(undefended(), undefended_network()))
    assert (finding.verdict, finding.values["pgd"]) == ("passes", 0)


def test_a_classifier_that_hides_the_gradient_of_a_weak_encoder_fails() -> None:
    finding = examined(refitting_bench(gradient_killed(undefended()), undefended_network()))
    assert finding.verdict == "fails"
    assert (finding.values["pgd"], finding.values["worst"], finding.values["drop"]) == (1, 0, 1)


def test_behind_a_hidden_gradient_the_true_robustness_is_found() -> None:
    split = images_of(100)
    honest = examined(refitting_bench(robust(), robust_network(), split=split))
    hidden = examined(refitting_bench(gradient_killed(robust()), robust_network(), split=split))
    assert hidden.verdict == "fails"
    assert hidden.values["pgd"] > honest.values["pgd"]
    assert hidden.values["worst"] == honest.values["worst"]


def test_each_refitted_classifier_tells_its_accuracy_naturally_and_under_its_attack() -> None:
    # No tint of another class, and images enough for the adversarial classifier, which is fitted on a quarter of them.
    changes: dict[str, Any] = {
        "split": images_of(36),
        "train": images_of(800, seed=1),
        "budget": replace(BUDGET, fit_images=800),
    }
    classifiers = examined(refitting_bench(robust(), robust_network(), **changes)).values["classifiers"]
    assert set(classifiers) == KINDS
    assert classifiers["natural"]["natural"] > 0.9
    for values in classifiers.values():
        assert 0.5 < values["own_attack"] <= values["natural"]
    weak = examined(refitting_bench(undefended(), undefended_network())).values["classifiers"]
    assert all(values["own_attack"] == 0 for values in weak.values())


def test_the_claims_classifier_is_the_judge() -> None:
    class Stubborn(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return nn.functional.one_hot(torch.arange(len(images)) % 4, 4) + 0 * images.flatten(1)[:, :4]

    finding = examined(refitting_bench(Stubborn(), undefended_network()))
    assert finding.values["worst"] == 1
    assert finding.values["classifiers"]["natural"]["own_attack"] == 0


def test_what_the_refitted_classifiers_found_counts_for_the_worst_case() -> None:
    begun = refitting_bench(gradient_killed(undefended()), undefended_network())
    examined(begun)
    assert not begun.worst_case().any()
    kept = [outcome for label, outcome in begun.outcomes.items() if "refitted" in label]
    assert {outcome.label.split(": ")[1] for outcome in kept} == KINDS
    assert len({outcome.recipe for outcome in kept}) == len(KINDS)
    assert all(0 < outcome.largest_distance <= 8 / 255 + 1e-6 for outcome in kept)


def test_the_worst_case_is_taken_for_each_example_and_not_for_each_attack() -> None:
    by_pgd, left = torch.tensor([1, 1, 0, 1], dtype=torch.bool), torch.tensor([1, 0, 1, 1], dtype=torch.bool)
    values = beyond_pgd(by_pgd, left, "others", {}).values
    assert (values["pgd"], values["worst"], values["drop"]) == (0.75, 0.5, 0.25)


@pytest.mark.parametrize(
    ("broken", "verdict"), [(0, "passes"), (1, "passes"), (7, "passes"), (8, "warns"), (12, "warns"), (13, "fails")]
)
def test_what_is_surely_more_than_two_points_warns_and_more_than_five_fails(broken: int, verdict: str) -> None:
    assert beyond_pgd(torch.ones(100, dtype=torch.bool), torch.arange(100) >= broken, "others", {}).verdict == verdict


def test_an_interrupted_check_finds_the_same_when_it_is_run_again() -> None:
    first = refitting_bench(robust(), robust_network())
    finding = examined(first)
    labels = [label for label in first.outcomes if "adversarial" not in label]
    resumed = refitting_bench(robust(), robust_network())
    resumed.outcomes = {label: first.outcomes[label] for label in labels}
    assert examined(resumed) == finding


def test_pgd_has_the_most_starts_and_steps_of_the_budget() -> None:
    begun = refitting_bench(robust(), robust_network())
    examined(begun)
    made = {
        (each.recipe.attack, each.recipe.steps, each.recipe.restarts) for each in begun.outcomes.values() if each.recipe
    }
    assert {("pgd", 10, 2), ("pgd", 20, 1)} <= made


def test_long_work_is_cut_into_pulses_that_a_stop_may_leave_at() -> None:
    pulses, _ = exhaust(CHECKS[0].run(refitting_bench(robust(), robust_network())))
    assert len(pulses) > 50
    assert all(pulse.abandonable for pulse in pulses)


def test_where_nothing_is_right_nothing_passes() -> None:
    with pytest.raises(NotRun, match="no image is classified correctly"):
        examined(refitting_bench(robust(), robust_network(), split=misclassified(robust())))
