"""The landscape of logit pairing: robust under few steps, broken by many, and told by the quickest audit."""

from fractions import Fraction

import pytest
import torch
from torch import nn

from claf_engine.attacks import attack, make_attack
from claf_engine.audits.bench import Bench
from claf_engine.audits.checks import CHECKS
from claf_engine.audits.request import BUDGETS
from claf_engine.data import to_pixels
from tests.engine.audits import fixtures
from tests.engine.tiny import FP32

QUICK = BUDGETS["quick"]
THAT_TELL = ("steps", "restarts", "planted-point", "claimed-attack")


def paired() -> nn.Module:
    return fixtures.Rippled(fixtures.undefended_linear())


def accuracy(model: nn.Module, steps: int, step_size: Fraction, restarts: int) -> float:
    """Robust accuracy at 8/255, the worst of several starts."""
    split, generator = fixtures.images_of(100), torch.Generator().manual_seed(1)
    images, spec = to_pixels(split.images), make_attack("pgd", fixtures.EPSILON, steps=steps, step_size=step_size)
    standing = torch.ones_like(split.labels, dtype=torch.bool)
    for _ in range(restarts):
        attacked = attack(model, images, split.labels, spec, generator, FP32)
        standing &= model(attacked).argmax(1) == split.labels
    return float(standing.double().mean())


def verdicts(bench: Bench, names: tuple[str, ...]) -> set[str]:
    """What these checks say, one after the other on one bench."""
    return {name for name in names if fixtures.found(fixtures.check_of(CHECKS, name), bench).verdict == "fails"}


def test_few_steps_leave_what_many_steps_with_restarts_break() -> None:
    assert accuracy(paired(), 10, Fraction(2, 255), 1) > 0.85
    assert accuracy(paired(), 200, Fraction(1, 255), 10) < 0.05


def test_the_quick_audit_fails_it_by_more_steps_and_by_more_restarts() -> None:
    bench = fixtures.bench_of(paired(), fixtures.images_of(100), budget=QUICK)
    assert verdicts(bench, THAT_TELL) == set(THAT_TELL)


def test_where_ripples_are_too_fine_for_more_steps_planted_points_and_the_worst_case_tell() -> None:
    finer = fixtures.Rippled(fixtures.undefended_linear(), frequency=20.0)
    bench = fixtures.bench_of(finer, fixtures.images_of(100), budget=QUICK)
    assert verdicts(bench, ("steps", "targeted", "planted-point", "claimed-attack")) == {
        "targeted",
        "planted-point",
        "claimed-attack",
    }


@pytest.mark.parametrize("build", [fixtures.robust, fixtures.robust_linear])
def test_an_honest_robust_network_passes_the_same_checks(build: fixtures.Build) -> None:
    bench = fixtures.bench_of(build(), fixtures.images_of(100), budget=QUICK)
    assert verdicts(bench, THAT_TELL) == set()
