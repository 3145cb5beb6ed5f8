from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from torch import nn

from claf_engine.accuracy.crossing import beside, both_steps
from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.data import Split
from claf_engine.events.ticks import exhaust
from tests.engine.tiny import FP32

LEVEL = Fraction(1, 255)
PAPER = AttackSuite((8 * LEVEL, 16 * LEVEL, 24 * LEVEL))
MODEL = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 3))
SPLIT = Split(torch.rand(12, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3)


@pytest.mark.parametrize("space_and_norm", [{}, {"norm": "l2"}])
@pytest.mark.parametrize("steps", [1, 10, 19])
def test_the_crossing_twin_crosses_every_ball_that_the_suite_does_not(steps: int, space_and_norm: dict) -> None:
    suite = replace(PAPER, steps=steps, restarts=3, decides="any", seed=5, **space_and_norm)
    crossing = suite.crossing()
    assert crossing is not None
    assert crossing.crossing() is None
    assert (crossing.restarts, crossing.decides, crossing.seed, crossing.norm) == (3, "any", 5, suite.norm)
    assert set(crossing.epsilons) == {epsilon for epsilon in suite.epsilons if "do not span" in suite.notice(epsilon)}


def test_a_suite_that_crosses_all_its_balls_needs_no_twin() -> None:
    assert replace(PAPER, epsilons=(Fraction(0), 8 * LEVEL, 10 * LEVEL)).crossing() is None
    assert AttackSuite(PAPER.epsilons, None, None).crossing() is None


def test_a_second_figure_stands_after_the_one_that_cannot_cross() -> None:
    found = exhaust(both_steps(MODEL, SPLIT, PAPER, FP32))
    told = [(item.epsilon, item.steps, item.step_size, bool(item.notice)) for item in found.robust]
    assert told == [
        ("8/255", 10, "2/255", False),
        ("16/255", 10, "2/255", True),
        ("16/255", 20, "2/255", False),
        ("24/255", 10, "2/255", True),
        ("24/255", 30, "2/255", False),
    ]
    assert len(found.outcomes) == len(found.robust)
    for figure, survives in zip(found.robust, found.outcomes, strict=True):
        assert figure.accuracy == float(survives.double().mean())


def test_the_figures_of_the_settings_stay_as_they_were() -> None:
    alone = exhaust(accuracy_steps(MODEL, SPLIT, PAPER, FP32))
    found = exhaust(both_steps(MODEL, SPLIT, PAPER, FP32))
    assert tuple(item for item in found.robust if item.steps == 10) == alone.robust
    assert (found.natural, found.notices) == (alone.natural, alone.notices)


def test_nothing_is_measured_twice_where_all_balls_are_crossed() -> None:
    suite = replace(PAPER, epsilons=(8 * LEVEL,))
    assert exhaust(both_steps(MODEL, SPLIT, suite, FP32)) == exhaust(accuracy_steps(MODEL, SPLIT, suite, FP32))


def test_notices_of_both_attacks_are_told_once() -> None:
    alone = exhaust(accuracy_steps(MODEL, SPLIT, PAPER, FP32))
    assert beside(alone, alone).notices == alone.notices
