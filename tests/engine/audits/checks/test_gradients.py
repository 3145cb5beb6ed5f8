from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from claf_engine.audits.checks.claim import claimed_steps
from claf_engine.audits.checks.gradients import CHECKS, SCALES, judge_scales
from claf_engine.audits.diagnostic import Finding, NotRun
from tests.engine.audits.fixtures import (
    BUDGET,
    RELEASED,
    SOUND,
    Build,
    Damage,
    Decoy,
    Wrapped,
    bench_of,
    examiner,
    gradient_killed,
    images_of,
    misclassified,
    quantised,
    robust,
    robust_linear,
    saturated,
    undefended,
    undefended_linear,
)
from tests.engine.tiny import exhaust

NAMES = [check.name for check in CHECKS]
examined = examiner(CHECKS)


@pytest.mark.parametrize("build", SOUND)
@pytest.mark.parametrize("name", NAMES)
def test_a_sound_model_passes(name: str, build: Build) -> None:
    assert examined(name, bench_of(build())).verdict == "passes"


@pytest.mark.parametrize("damage", [gradient_killed, quantised])
@pytest.mark.parametrize("build", SOUND)
def test_a_layer_without_a_gradient_fails(build: Build, damage: Damage) -> None:
    finding = examined("zero-gradients", bench_of(damage(build())))
    assert finding.verdict == "fails"
    assert (finding.values["log_odds"], finding.values["cross_entropy"]) == (1, 1)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_gradient_that_is_not_finite_is_as_useless_as_none(value: float) -> None:
    class Broken(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = undefended_linear()(images)
            if images.requires_grad:
                logits.register_hook(lambda gradient: gradient * value)
            return logits

    assert examined("zero-gradients", bench_of(Broken())).verdict == "fails"


def test_logits_that_autograd_knows_nothing_of_fail() -> None:
    """A forward pass under no_grad: no attack can be made, and what cannot be run must not add up to a pass."""

    class Untracked(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            with torch.no_grad():
                logits: Tensor = undefended()(images)
            return logits

    finding = examined("zero-gradients", bench_of(Untracked()))
    assert (finding.verdict, finding.figure) == ("fails", "the logits have no gradient by the image at all")


def dead_on(share: float) -> nn.Module:
    """No gradient on the images whose first pixel is among the darkest."""
    levels = images_of().images[:, 0, 0, 0].float() / 255

    def killed(images: Tensor) -> Tensor:
        is_dead = images[:, :1, :1, :1] <= levels.quantile(share)
        return images.detach().where(is_dead, images)

    return Wrapped(undefended(), before=killed)


@pytest.mark.parametrize(("share", "verdict"), [(0.02, "passes"), (0.15, "warns"), (0.5, "fails")])
def test_a_few_zero_gradients_pass_more_warn_and_many_fail(share: float, verdict: str) -> None:
    finding = examined("zero-gradients", bench_of(dead_on(share)))
    assert finding.verdict == verdict
    assert finding.values["log_odds"] == pytest.approx(share, abs=0.04)


def test_saturated_logits_leave_log_odds_a_gradient_and_cross_entropy_none() -> None:
    finding = examined("zero-gradients", bench_of(saturated(undefended())))
    assert (finding.values["log_odds"], finding.values["cross_entropy"]) == (0, 1)
    assert finding.verdict == "passes"


@pytest.mark.parametrize(
    ("build", "verdict"),
    [(undefended, "warns"), (undefended_linear, "warns"), (robust, "fails"), (robust_linear, "fails")],
)
def test_saturated_logits_warn_of_saturation_and_fail_where_pgd_leaves_much(build: Build, verdict: str) -> None:
    finding = examined("saturation", bench_of(saturated(build()), images_of(100)))
    assert finding.verdict == verdict
    assert finding.values["share"] > 0.9


class Certain(nn.Module):
    """Leaves the likeliest class a probability of 1 - doubt."""

    def __init__(self, doubt: float) -> None:
        super().__init__()
        self.doubt = torch.tensor(doubt)

    def forward(self, images: Tensor) -> Tensor:
        classes: Tensor = undefended_linear()(images).argmax(1)
        is_likeliest = nn.functional.one_hot(classes, 4).bool()
        flat = 0 * images.sum((1, 2, 3), keepdim=True)[:, :, 0, 0]
        return (1 - self.doubt).log().where(is_likeliest, (self.doubt / 3).log()) + flat


@pytest.mark.parametrize(("doubt", "verdict"), [(2e-6, "passes"), (5e-7, "fails")])
def test_saturation_begins_a_millionth_below_certainty(doubt: float, verdict: str) -> None:
    assert examined("saturation", bench_of(Certain(doubt))).verdict == verdict


def test_saturated_logits_mask_plain_cross_entropy_but_not_our_own_attack() -> None:
    finding = examined("logit-scale", bench_of(saturated(undefended())))
    assert finding.verdict == "warns"
    assert finding.values["log_odds"] == 0
    assert finding.values["scaled"]["1.0"] > 0.9
    assert finding.values["masked"] == finding.values["scaled"]["1.0"]
    assert finding.values["overlooked"] <= 0


@pytest.mark.parametrize("build", [undefended, undefended_linear])
def test_a_decoy_that_only_smaller_logits_see_through_fails(build: Build) -> None:
    finding = examined("logit-scale", bench_of(Decoy(build())))
    assert finding.verdict == "fails"
    assert finding.values["log_odds"] > 0.9
    assert finding.values["scaled"]["0.1"] == 0


def test_what_a_scale_found_counts_for_the_worst_case() -> None:
    bench = bench_of(Decoy(undefended()))
    exhaust(claimed_steps(bench))
    assert bench.worst_case().any()
    examined("logit-scale", bench)
    assert not bench.worst_case().any()


def test_plain_cross_entropy_starts_and_ends_where_the_claims_attack_does() -> None:
    asked: list[Tensor] = []

    def remember(images: Tensor) -> Tensor:
        asked.append(images.detach())
        return images

    # Of so few steps that where they lead depends on where they start.
    bench = bench_of(Wrapped(robust(), before=remember), budget=replace(BUDGET, steps=(2, 4)))
    exhaust(claimed_steps(bench))
    claimed = asked[-1]
    asked.clear()
    examined("logit-scale", bench)
    assert any(torch.allclose(images, claimed, rtol=0, atol=1e-6) for images in asked)


def test_every_scale_is_kept_under_its_own_name_and_is_not_run_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = bench_of(robust())
    first = examined("logit-scale", bench)
    assert len(bench.outcomes) == 2 + len(SCALES)
    assert len({outcome.recipe for outcome in bench.outcomes.values()}) == 2 + len(SCALES)
    monkeypatch.setattr("claf_engine.audits.checks.gradients.ascent_steps", None)
    assert examined("logit-scale", bench) == first


def test_in_the_released_codes_space_scales_are_compared_in_that_space() -> None:
    bench = bench_of(undefended(), space=RELEASED)
    examined("logit-scale", bench)
    assert all("(released-code)" in label for label in bench.outcomes if "PGD" in label)


@pytest.mark.parametrize(
    ("own", "scaled", "verdict"),
    [
        (0.50, (0.50, 0.50, 0.50), "passes"),
        (0.50, (0.60, 0.504, 0.496), "passes"),
        (0.50, (0.50, 0.55, 0.50), "warns"),
        (0.50, (0.50, 0.90, 0.90), "warns"),
        (0.50, (0.50, 0.50, 0.46), "warns"),
        (0.50, (0.40, 0.50, 0.50), "fails"),
        (0.90, (0.00, 0.00, 0.00), "fails"),
    ],
)
def test_scales_are_judged_by_what_log_odds_overlook_then_by_what_cross_entropy_does(
    own: float, scaled: tuple[float, float, float], verdict: str
) -> None:
    left = [torch.arange(500) < 500 * share for share in (own, *scaled)]
    assert judge_scales(left[0], dict(zip(SCALES, left[1:], strict=True)))[0] == verdict


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch_size", [7, 250])
def test_the_batch_size_does_not_change_the_verdict(name: str, batch_size: int) -> None:
    def figures(**changes: Any) -> Finding:
        return examined(name, bench_of(saturated(undefended()), **changes))

    assert figures(batch_size=batch_size).verdict == figures().verdict


@pytest.mark.parametrize("name", NAMES)
def test_where_nothing_is_right_nothing_passes(name: str) -> None:
    with pytest.raises(NotRun, match="no image is classified correctly"):
        examined(name, bench_of(robust(), misclassified(robust())))
