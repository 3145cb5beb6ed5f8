from collections.abc import Generator
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from claf_engine.audits.bench import NATURAL, Bench, Outcome
from claf_engine.audits.checks.claim import CHECKS, claimed_steps
from claf_engine.audits.diagnostic import NotRun
from claf_engine.data import Split
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError
from tests.engine.audits.fixtures import (
    EPSILON,
    RELEASED,
    SOUND,
    Build,
    Linear,
    bench_of,
    examiner,
    gradient_killed,
    grey,
    images_of,
    linear_robust_accuracy,
    misclassified,
    quantised,
    random_forward,
    robust,
    robust_linear,
    saturated,
    softmax_output,
    undefended,
    undefended_linear,
)
from tests.engine.tiny import exhaust

REPEATABLE = [*SOUND, lambda: gradient_killed(robust()), lambda: quantised(robust()), lambda: saturated(robust())]
examined = examiner(CHECKS)


@pytest.mark.parametrize("build", SOUND)
@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_a_sound_attack_on_a_sound_model_passes(name: str, build: Build) -> None:
    assert examined(name, bench_of(build())).verdict == "passes"


@pytest.mark.parametrize("build", [undefended, undefended_linear])
def test_the_claims_attack_leaves_nothing_of_an_undefended_model(build: Build) -> None:
    assert exhaust(claimed_steps(bench_of(build())))[1].accuracy == 0


@pytest.mark.parametrize("levels", [2, 8, 24, 32])
@pytest.mark.parametrize("build", [robust_linear, undefended_linear])
def test_the_claims_attack_gives_a_linear_models_closed_form(build: type[Linear], levels: int) -> None:
    model, split, epsilon = build(), images_of(200), Fraction(levels, 255)
    bench = bench_of(model, split, epsilon=epsilon, step_size=epsilon / 4)
    assert exhaust(claimed_steps(bench))[1].accuracy == linear_robust_accuracy(model, split, epsilon)


def test_the_closed_form_is_not_the_same_everywhere() -> None:
    accuracies = [linear_robust_accuracy(robust_linear(), images_of(200), Fraction(n, 255)) for n in (2, 8, 24, 32)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert len(set(accuracies)) == 4


@pytest.mark.parametrize("build", REPEATABLE)
def test_whatever_is_repeatable_survives_an_attack_of_epsilon_zero(build: Build) -> None:
    finding = examined("epsilon-zero", bench_of(build()))
    assert (finding.verdict, finding.values["changed_share"]) == ("passes", 0)


def clamped() -> Bench:
    """Images darker than the mean everywhere, of which a clamp of normalised values leaves nothing."""
    return bench_of(undefended_linear(), images_of(level=56), space=RELEASED)


def test_clamping_normalised_images_fails_at_epsilon_zero_and_says_from_what_to_what() -> None:
    finding = examined("epsilon-zero", clamped())
    assert finding.verdict == "fails"
    assert finding.figure == f"100.0 % -> {100 * finding.values['attacked']:.1f} %"
    assert finding.values["attacked"] < 0.6


class Shuffled(nn.Module):
    """Answers 1 after it was asked once; before that 0."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        first = (images.mean((1, 2, 3)) > 0.4).float() if self.calls == 1 else (images.mean((1, 2, 3)) > 1).float()
        return torch.stack([1 - first, first], 1) + 0 * images.sum((1, 2, 3))[:, None]


def test_a_model_that_answers_otherwise_the_second_time_fails_at_epsilon_zero() -> None:
    split = Split(grey(4).images, torch.ones(4, dtype=torch.int64))
    assert examined("epsilon-zero", bench_of(Shuffled(), split)).figure == "100.0 % -> 0.0 %"


def test_a_random_forward_pass_fails_at_epsilon_zero() -> None:
    assert examined("epsilon-zero", bench_of(random_forward(robust(), 1.0))).verdict == "fails"


def test_epsilon_zero_counts_examples_and_not_accuracies(monkeypatch: pytest.MonkeyPatch) -> None:
    was_right = torch.tensor([True, False] * 30)

    def swapped(*_: object, **__: object) -> Generator[Pulse, None, Outcome]:
        yield from ()
        return Outcome("swapped", ~was_right, is_in_ball=True, largest_distance=0, mean_distance=0)

    bench = bench_of(robust())
    bench.record(Outcome(NATURAL, was_right, is_in_ball=True, largest_distance=0, mean_distance=0))
    monkeypatch.setattr(bench, "attack", swapped)
    finding = examined("epsilon-zero", bench)
    assert finding.figure == "50.0 % -> 50.0 %"
    assert (finding.verdict, finding.values["changed_share"]) == ("fails", 1)


def test_an_attack_of_epsilon_zero_changes_no_worst_case() -> None:
    bench = bench_of(robust())
    natural = exhaust(bench.natural())[1]
    examined("epsilon-zero", bench)
    assert torch.equal(bench.worst_case(), natural.survives)


def test_the_released_codes_clamp_moves_images_further_than_the_claim() -> None:
    finding = examined("distance", clamped())
    assert finding.verdict == "fails"
    assert finding.figure == f"{255 * finding.values['largest']:.1f}/255 against 8/255"
    assert finding.values["largest"] > 40 / 255
    assert finding.values["largest"] > finding.values["mean"] > 8 / 255


def test_a_distance_of_epsilon_passes_and_is_told() -> None:
    finding = examined("distance", bench_of(robust()))
    assert finding.figure == "8/255 against 8/255"
    assert finding.values["largest"] == pytest.approx(float(EPSILON), abs=1e-6)


class Poisoned(nn.Module):
    """Gradients that are not a number."""

    def forward(self, images: Tensor) -> Tensor:
        flat = images.flatten(1).sum(1, keepdim=True)
        return torch.cat([flat, -flat], 1) + 0 * (flat - flat).sqrt()


def test_an_attack_that_makes_images_which_are_not_finite_fails_the_distance() -> None:
    finding = examined("distance", bench_of(Poisoned(), grey(4)))
    assert finding.verdict == "fails"
    assert "not finite" in finding.figure


def test_an_error_of_another_kind_is_no_verdict_on_the_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise DataError("no images")

    bench = bench_of(robust())
    monkeypatch.setattr(bench, "attack", broken)
    with pytest.raises(DataError):
        examined("distance", bench)


@pytest.mark.parametrize("name", ["epsilon-zero", "distance"])
def test_where_nothing_is_right_nothing_is_attacked_and_nothing_passes(name: str) -> None:
    with pytest.raises(NotRun, match="no image is classified correctly"):
        examined(name, bench_of(robust(), misclassified(robust())))


@pytest.mark.parametrize(("epsilon", "step_size", "verdict"), [(8, 2, "passes"), (10, 2, "passes"), (16, 2, "warns")])
def test_an_attack_must_be_able_to_cross_the_ball(epsilon: int, step_size: int, verdict: str) -> None:
    changes = {"epsilon": Fraction(epsilon, 255), "step_size": Fraction(step_size, 255)}
    finding = examined("reach", bench_of(robust(), **changes))
    assert finding.verdict == verdict
    assert finding.figure == f"20/255 against {2 * epsilon}/255"


def test_softmax_output_is_no_matter_of_the_claim() -> None:
    assert examined("epsilon-zero", bench_of(softmax_output(robust()))).verdict == "passes"
