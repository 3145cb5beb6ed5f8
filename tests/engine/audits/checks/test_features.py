import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from claf_engine.audits.bench import Bench
from claf_engine.audits.checks.features import CHECKS, GOALS, cosine, euclidean, nearest_others
from claf_engine.audits.diagnostic import Finding
from tests.engine.audits.fixtures import (
    found,
    gradient_killed,
    refitting_bench,
    robust,
    robust_network,
    undefended,
    undefended_network,
)
from tests.engine.tiny import exhaust


def examined(begun: Bench) -> Finding:
    return found(CHECKS[0], begun)


def test_an_adversarially_trained_network_passes() -> None:
    finding = examined(refitting_bench(robust(), robust_network()))
    assert (finding.verdict, finding.values["worst"]) == ("passes", pytest.approx(0.8))


def test_a_classifier_that_hides_the_gradient_of_a_weak_encoder_fails() -> None:
    finding = examined(refitting_bench(gradient_killed(undefended()), undefended_network()))
    assert finding.verdict == "fails"
    assert (finding.values["pgd"], finding.values["worst"]) == (1, 0)


def test_every_goal_breaks_an_undefended_network_by_itself() -> None:
    attacks = examined(refitting_bench(undefended(), undefended_network())).values["attacks"]
    assert set(attacks) == {"push-euclidean", "pull-euclidean", "push-cosine", "pull-cosine"}
    assert all(accuracy < 0.3 for accuracy in attacks.values())


def test_what_the_attacks_found_counts_for_the_worst_case_and_is_not_run_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = refitting_bench(gradient_killed(undefended()), undefended_network())
    finding = examined(begun)
    assert not begun.worst_case().any()
    kept = [outcome for outcome in begun.outcomes.values() if outcome.recipe and "cosine" in outcome.recipe.attack]
    assert len(kept) == 2
    assert all(0 < outcome.largest_distance <= 8 / 255 + 1e-6 for outcome in kept)
    monkeypatch.setattr("claf_engine.audits.checks.features.ascent_steps", None)
    assert examined(begun) == finding


def test_every_goal_has_a_label_and_a_name_of_its_own() -> None:
    assert len({goal.title for goal in GOALS}) == len({goal.name for goal in GOALS}) == 4


@given(st.integers(0, 1000))
def test_the_target_is_the_nearest_class_of_the_others(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features, means = torch.randn(6, 3, generator=generator), torch.randn(4, 3, generator=generator)
    labels = torch.randint(4, (6,), generator=generator)
    for row, target in enumerate(nearest_others(features, means, labels).tolist()):
        others = [label for label in range(4) if label != labels[row]]
        assert target == min(others, key=lambda label: float((features[row] - means[label]).norm()))


def test_the_distances_are_what_they_are_called() -> None:
    ones, others = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[0.0, 0.0], [-2.0, 0.0]])
    assert euclidean(ones, others).tolist() == [12.5, 4.5]
    assert cosine(ones, torch.tensor([[6.0, 8.0], [-2.0, 0.0]])).tolist() == pytest.approx([0, 2])


def test_long_work_is_cut_into_pulses_that_a_stop_may_leave_at() -> None:
    pulses, _ = exhaust(CHECKS[0].run(refitting_bench(robust(), robust_network())))
    assert len(pulses) > 40
    assert all(pulse.abandonable for pulse in pulses)
