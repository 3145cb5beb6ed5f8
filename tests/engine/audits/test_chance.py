import math
from collections.abc import Iterator
from functools import cache
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import beta, binom, multinomial

from claf_engine.audits import chance
from claf_engine.audits.chance import COMPARISONS, FAMILY, LEVEL, score
from claf_engine.audits.checks import (
    CHECKS,
    blackbox,
    claimed,
    classifiers,
    convergence,
    decisions,
    sweep,
    targeted,
    transfer,
)

share, difference = cache(chance.share), cache(chance.difference)
COUNT = 100
"""Images of a quick audit."""
SHARES = {
    "restarts": convergence.WARNS_AT,
    "silent-success": convergence.WARNS_AT,
    "frozen-choice": decisions.WARNS_AT,
    "targeted": targeted.WARNS_AT,
    "ce-dlr-gap": blackbox.GAP_WARNS_AT,
    "square": blackbox.SQUARE_WARNS_AT,
    "noise": sweep.NOISE_WARNS_AT,
    "epsilon-sweep, rest": sweep.REST,
    "zero-gradients": 0.01,
    "feature-attacks": classifiers.WARNS_AT,
    "refitted-classifiers": classifiers.WARNS_AT,
    "claimed-attack": claimed.WARNS_AT,
    "saturation": 0.1,
    "planted-point": 0.05,
}
"""What an honest network may show of each at most without a warning, as shares."""
DIFFERENCES = {
    "steps": convergence.WARNS_AT,
    "fgsm": convergence.WARNS_AT,
    "logit-scale, x0.1": 0.01,
    "logit-scale, x1": 0.01,
    "logit-scale, x10": 0.01,
    "logit-scale, masked": 0.01,
    "transfer": transfer.LEAD,
    "batchnorm, up": 0.02,
    "noise, lead": sweep.LEAD,
    **{f"epsilon-sweep, {number}": sweep.RISE for number in range(3)},
}
"""The same as differences of two attacks on the same images, which break an image in fifty by luck alone."""
LUCK = 0.02


@pytest.mark.parametrize(("count", "total"), [(1, 100), (6, 100), (50, 100), (100, 100), (5, 5), (300, 10_000)])
def test_the_bound_of_a_share_is_the_exact_one(count: int, total: int) -> None:
    found = share(count, total)
    assert found.value == count / total
    assert found.at_least == pytest.approx(beta.ppf(LEVEL, count, total - count + 1), abs=1e-9)


def test_nothing_of_anything_has_no_bound_above_nothing() -> None:
    assert (share(0, 100).value, share(0, 100).at_least) == (0, 0)
    assert difference(0, 0, 100).value == 0
    assert difference(0, 0, 100).at_least < 0


@pytest.mark.parametrize("counts", [(1, 0), (-1, 10), (11, 10)])
def test_what_is_no_share_is_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="is no share"):
        share(*counts)


@pytest.mark.parametrize("counts", [(0, 0, 0), (-1, 0, 10), (6, 5, 10)])
def test_what_are_no_pairs_is_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="are no pairs"):
        difference(*counts)


@pytest.mark.parametrize(("more", "less"), [(9, 0), (20, 5), (3, 12)])
def test_the_score_of_no_difference_is_mcnemars(more: int, less: int) -> None:
    assert score(more, less, 100, 0.0) == pytest.approx((more - less) / math.sqrt(more + less))


@pytest.mark.parametrize(("more", "less", "total"), [(9, 0, 100), (20, 5, 100), (3, 12, 60), (5, 5, 5000)])
def test_the_score_at_a_bound_is_the_quantile(more: int, less: int, total: int) -> None:
    found = difference(more, less, total)
    assert found.at_least < found.value == (more - less) / total
    assert score(more, less, total, found.at_least) == pytest.approx(NormalDist().inv_cdf(1 - LEVEL), abs=0.01)


@pytest.mark.parametrize("truth", [0.0, 0.01, 0.05])
def test_a_difference_is_called_larger_than_it_is_as_rarely_as_promised_by_enumeration(truth: float) -> None:
    total = 60
    called = [
        (more, less, total - more - less)
        for more in range(total + 1)
        for less in range(total + 1 - more)
        if more - less > truth * total and difference(more, less, total).at_least > truth
    ]
    for luck in np.linspace(0, 0.45, 10):
        mistaken = multinomial.pmf(called, total, [luck + truth, luck, 1 - 2 * luck - truth]).sum()
        assert mistaken < 1.1 * LEVEL


def test_all_comparisons_of_an_audit_together_keep_the_promise() -> None:
    assert sum(check.comparisons for check in CHECKS) == COMPARISONS
    assert pytest.approx(FAMILY) == LEVEL * COMPARISONS


def audits(number: int, defects: dict[str, float]) -> Iterator[set[str]]:
    """What is found beyond chance in made audits of 100 images, of a network whose true values are just honest.

    Args:
        number: of audits.
        defects: truths in place of the honest ones.
    """
    draw = np.random.default_rng(0)
    for _ in range(number):
        warned = {
            name
            for name, truth in SHARES.items()
            if share(int(draw.binomial(COUNT, defects.get(name, truth))), COUNT).at_least > truth
        }
        for name, truth in DIFFERENCES.items():
            more = defects.get(name, truth) + LUCK
            alone, other, _ = draw.multinomial(COUNT, [more, LUCK, 1 - more - LUCK])
            if difference(int(alone), int(other), COUNT).at_least > truth:
                warned.add(name)
        yield warned


def test_an_honest_network_is_warned_of_by_chance_in_at_most_one_of_twenty_audits() -> None:
    assert sum(map(bool, audits(2000, {}))) / 2000 <= FAMILY


@pytest.mark.parametrize(
    ("name", "truth"), [("restarts", 0.12), ("steps", 0.25), ("targeted", 0.25), ("transfer", 0.25)]
)
def test_a_defect_that_matters_is_caught_in_nine_of_ten_audits(name: str, truth: float) -> None:
    assert sum(name in warned for warned in audits(300, {name: truth})) / 300 >= 0.9


def test_the_power_that_the_documentation_states() -> None:
    warned = min(count for count in range(101) if share(count, 100).at_least > 0.01)
    failed = min(count for count in range(101) if share(count, 100).at_least > 0.05)
    assert (warned, failed) == (6, 13)
    assert binom.sf(warned - 1, 100, 0.1) == pytest.approx(0.942, abs=0.001)
    assert binom.sf(failed - 1, 100, 0.2) == pytest.approx(0.975, abs=0.001)
