import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from claf_engine import events as ev
from claf_engine.runs.alerting import Finding, changes, reminders
from claf_engine.training.alarms import (
    BEST_DEVIATIONS,
    COLLAPSE_DROP,
    DEVIATIONS,
    MARGIN_ALLOWANCE,
    Fall,
    collapse_margin,
    epsilon_zero,
    exceeds_noise,
    fall_margin,
    findings,
    loss_margin,
    one_step_attack,
    overfitting,
    robustness_lost,
    saturated_gradients,
    watched_overfitting,
)
from claf_engine.training.sentinels import Compared, Sentinels
from tests.engine.tiny import tiny_config

N = 64
TRIALS = 300_000


def first_of(count: int, num: int = N) -> Tensor:
    """Survivors (num,): the first `count`."""
    return torch.arange(num) < count


def compared(one_step: int = 35, multi_step: int = 32, cross_entropy: int = 32, margin: int = 30) -> Compared:
    return Compared("8/255", "8/255", *map(first_of, (one_step, multi_step, cross_entropy, margin)))


def sentinels(**changed: Any) -> Sentinels:
    return replace(Sentinels("linf", "pixel", first_of(50), first_of(50), 0, 0.0, compared()), **changed)


def test_outcomes_of_an_honest_network_raise_nothing() -> None:
    judged = findings(sentinels(), Fall(0.5, 0.52, 256))
    assert len(judged) == 5
    assert not any(finding.begins for finding in judged)
    assert all(finding.ends for finding in judged)


@pytest.mark.parametrize("changed", [{"num_changed": 1}, {"largest_distance": 0.02}])
def test_radius_0_has_no_noise(changed: dict[str, Any]) -> None:
    finding = epsilon_zero(sentinels(**changed))
    assert (finding.begins, finding.ends) == (True, False)


def test_the_reason_of_radius_0_is_the_space_or_the_network() -> None:
    assert "forward pass is not repeatable" in epsilon_zero(sentinels(num_changed=10)).text
    released = epsilon_zero(sentinels(space="released-code", num_changed=10, largest_distance=115 / 255))
    assert released.text == (
        "an attack of radius 0 moves images by up to 115/255 and changes 10 of 64 answers: "
        "released-code figures are not accuracy in an ε-ball"
    )


@pytest.mark.parametrize(("one_step", "begins", "ends"), [(18, True, False), (19, False, False), (32, False, True)])
def test_fgsm_must_beat_pgd_by_more_than_noise(one_step: int, begins: bool, ends: bool) -> None:
    finding = one_step_attack(compared(one_step=one_step))
    assert (finding.begins, finding.ends) == (begins, ends)
    assert f"FGSM alone breaks {32 - one_step} of 64 images and PGD alone 0" in finding.text


@pytest.mark.parametrize(("margin", "begins", "ends"), [(10, True, False), (11, False, False), (28, False, True)])
def test_the_margin_may_find_a_little_more_than_cross_entropy(margin: int, begins: bool, ends: bool) -> None:
    finding = saturated_gradients(compared(margin=margin))
    assert (finding.begins, finding.ends) == (begins, ends)


def test_a_fall_of_pgd_that_fgsm_does_not_see_is_catastrophic_overfitting() -> None:
    finding = overfitting(compared(one_step=40, multi_step=0, margin=0), Fall(0.02, 0.45, 256))
    assert finding.begins
    assert finding.text == (
        "catastrophic overfitting: PGD accuracy at 8/255 fell from 45.0% to 2.0%, "
        "while 40 of 64 images withstand FGSM and not PGD"
    )


@pytest.mark.parametrize(
    ("one_step", "accuracy", "best"), [(2, 0.02, 0.45), (40, 0.4, 0.45), (40, 0.02, 0.2), (40, 0.3, 0.49)]
)
def test_a_fall_of_both_or_a_small_one_is_none(one_step: int, accuracy: float, best: float) -> None:
    assert not overfitting(compared(one_step=one_step, multi_step=0), Fall(accuracy, best, 256)).begins


def test_overfitting_is_over_when_half_the_drop_is_made_up_for() -> None:
    assert not overfitting(compared(), Fall(0.3, 0.45, 256)).ends
    assert overfitting(compared(), Fall(0.36, 0.45, 256)).ends


def test_a_phase_that_trains_without_attacks_is_not_judged_by_its_fall() -> None:
    assert "catastrophic-overfitting" not in {finding.name for finding in findings(sentinels(), None)}


def test_without_a_radius_only_radius_0_is_judged() -> None:
    judged = findings(sentinels(compared=None), Fall(0.1, 0.9, 256))
    assert [finding.name for finding in judged] == ["epsilon-zero"]


@pytest.mark.parametrize(("count", "begins"), [(13, False), (14, True)])
def test_fourteen_images_are_the_fewest_that_raise_an_alarm(count: int, begins: bool) -> None:
    assert exceeds_noise(first_of(count, count), first_of(0, count)) is begins


def rate_of_noise(num: int, either: float, allowance: float) -> float:
    """Share of looks at a network on the edge of honesty that raise a false alarm; the same rule, vectorised."""
    generator = torch.Generator().manual_seed(num)
    draws = torch.rand(TRIALS // 8, num, generator=generator)
    alone, other = (draws < either + allowance).sum(1), (draws > 1 - either).sum(1)
    return float((alone - other - allowance * num > DEVIATIONS * (alone + other).sqrt()).double().mean())


@pytest.mark.parametrize("either", [0.02, 0.1, 0.3, 0.45])
@pytest.mark.parametrize("allowance", [0.0, MARGIN_ALLOWANCE])
@pytest.mark.parametrize("num", [16, 64, 250])
def test_of_two_attacks_at_the_edge_of_honesty_noise_raises_below_1_alarm_in_4000(
    num: int, allowance: float, either: float
) -> None:
    """The edge is where an honest network comes closest to an alarm: further inside, false alarms are rarer."""
    assert rate_of_noise(num, either, allowance) < 1 / 4000


def test_the_simulated_rule_is_the_rule() -> None:
    for alone, other in [(14, 0), (13, 0), (25, 5), (30, 5), (22, 0), (21, 0)]:
        survives = torch.cat([torch.ones(alone), torch.zeros(64 - alone)]).bool()
        others = torch.cat([torch.zeros(64 - other), torch.ones(other)]).bool()
        for allowance in (0.0, MARGIN_ALLOWANCE):
            expected = alone - other - allowance * 64 > DEVIATIONS * math.sqrt(alone + other)
            assert exceeds_noise(survives, others, allowance) is expected


@pytest.mark.parametrize("num", [32, 64, 200, 256, 1000])
@pytest.mark.parametrize("accuracy", [0.1, 0.35, 0.5, 0.65])
def test_of_200_probes_of_a_steady_network_noise_makes_less_than_1_in_1000_a_fall(num: int, accuracy: float) -> None:
    """An upper bound: FGSM must stand as well. Only the last probe is judged, against the best of all."""
    generator = torch.Generator().manual_seed(num)
    probability = torch.full((500, 200), accuracy)
    best = torch.binomial(torch.full_like(probability, num), probability, generator=generator).amax(1) / num
    now = torch.binomial(torch.full((500, 400), float(num)), torch.full((500, 400), accuracy), generator=generator)
    assert float((best[:, None] - now / num > fall_margin(num)).double().mean()) < 1 / 1000


def test_a_fall_is_at_least_20_points_and_more_on_few_images() -> None:
    assert fall_margin(1000) == COLLAPSE_DROP
    assert fall_margin(64) == pytest.approx(BEST_DEVIATIONS * math.sqrt(0.5 / 64))
    assert fall_margin(8) > 1, "on so few images nothing is a collapse"


@pytest.mark.parametrize("num", [32, 64, 200, 500, 1000])
@pytest.mark.parametrize("accuracy", [0.01, 0.1, 0.35, 0.5, 0.9])
def test_of_200_probes_of_a_steady_network_noise_makes_less_than_1_in_1000_a_loss(num: int, accuracy: float) -> None:
    generator = torch.Generator().manual_seed(num)
    probability = torch.full((500, 200), accuracy)
    best = torch.binomial(torch.full_like(probability, num), probability, generator=generator).amax(1) / num
    now = (
        torch.binomial(torch.full((500, 400), float(num)), torch.full((500, 400), accuracy), generator=generator) / num
    )
    share = (best[:, None] + now) / 2
    margin = (BEST_DEVIATIONS * (2 * share * (1 - share) / num).sqrt()).clamp_min(3 / num)
    assert float((best[:, None] - now > margin).double().mean()) < 1 / 1000
    assert margin[0, 0].item() == pytest.approx(loss_margin(Fall(now[0, 0].item(), best[0].item(), num)), rel=1e-5)


@pytest.mark.parametrize(
    ("accuracy", "begins", "ends"), [(0.26, True, False), (0.33, False, False), (0.40, False, True)]
)
def test_a_fall_below_the_best_that_chance_does_not_explain_is_an_alert(
    accuracy: float, begins: bool, ends: bool
) -> None:
    finding = robustness_lost(compared(), Fall(accuracy, 0.445, 500))
    assert (finding.begins, finding.ends) == (begins, ends)
    assert "fell from its best, 44.5%, to" in finding.text


def test_a_catastrophe_is_told_once() -> None:
    fall = Fall(0.02, 0.45, 500)
    masked = compared(one_step=60, multi_step=2)
    assert overfitting(masked, fall).begins
    assert not robustness_lost(masked, fall).begins
    assert robustness_lost(compared(one_step=3, multi_step=2), fall).begins


def finding(*, begins: bool = False, ends: bool = False, name: str = "one-step-attack") -> Finding:
    return Finding(name, begins, ends, "the reason")


def test_an_alert_is_raised_once_when_it_begins_and_its_end_is_told() -> None:
    standing: dict[str, dict[str, Any]] = {}
    course = [finding(), finding(begins=True), finding(begins=True), finding(), finding(ends=True), finding(ends=True)]
    told = [list(changes([each], standing, step)) for step, each in enumerate(course)]
    assert told == [
        [],
        [ev.Alert(1, "one-step-attack", "the reason")],
        [],
        [],
        [ev.AlertEnded(4, "one-step-attack", "gradient masking, told at step 1, has ended")],
        [],
    ]
    assert standing == {}


def test_what_is_not_judged_stands_on() -> None:
    standing: dict[str, dict[str, Any]] = {}
    list(changes([finding(begins=True, name="catastrophic-overfitting")], standing, 3))
    assert list(changes([finding(ends=True)], standing, 4)) == []
    assert reminders(standing) == [ev.Alert(3, "catastrophic-overfitting", "the reason")]


def check(multi_step: float, *, has_collapsed: bool) -> ev.OverfittingChecked:
    return ev.OverfittingChecked(9, 3, 0.8, multi_step, 0.5, 256, has_collapsed)


def test_the_watch_of_fast_training_raises_the_same_alert() -> None:
    found = watched_overfitting(check(0.1, has_collapsed=True), tiny_config())
    assert (found.name, found.begins, found.ends) == ("catastrophic-overfitting", True, False)
    expected = "catastrophic overfitting in epoch 3: PGD accuracy fell from 50.0% to 10.0%, one-step attack 80.0%"
    assert found.text == expected
    outside = watched_overfitting(check(0.1, has_collapsed=True), tiny_config(attack={"space": "released-code"}))
    assert outside.text == f"{expected} (released-code: not an ε-ball)"


@pytest.mark.parametrize(("multi_step", "ends"), [(0.35, False), (0.41, True)])
def test_a_collapse_of_fast_training_ends_with_half_of_the_drop(multi_step: float, ends: bool) -> None:
    assert watched_overfitting(check(multi_step, has_collapsed=False), tiny_config()).ends is ends


def test_with_many_classes_losing_half_of_a_low_best_is_a_collapse_too() -> None:
    survivors = compared(one_step=40, multi_step=0, margin=0)
    low = Fall(0.02, 0.15, 256)
    assert not overfitting(survivors, low).begins
    assert overfitting(survivors, replace(low, num_classes=1000)).begins
    assert not overfitting(survivors, replace(low, num_classes=1000, accuracy=0.1)).begins
    assert not overfitting(survivors, replace(low, num_classes=1000, num_examples=16)).begins


@pytest.mark.parametrize("num", [256, 1000])
@pytest.mark.parametrize("accuracy", [0.05, 0.15, 0.35])
def test_with_many_classes_noise_makes_less_than_1_fall_in_1000_either(num: int, accuracy: float) -> None:
    generator = torch.Generator().manual_seed(num)
    shares = torch.full((2000, 100), accuracy)
    found = torch.binomial(torch.full_like(shares, num), shares, generator=generator) / num
    falls = [Fall(float(each[-1]), float(each.max()), num, 1000) for each in found]
    assert sum(fall.best - fall.accuracy > collapse_margin(fall) for fall in falls) < 2
