from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from claf_engine.attacks import RELEASED_CODE
from claf_engine.evaluation.evaluate import requested_suite
from claf_engine.evaluation.request import EvaluationRequest
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import Norm
from tests.engine.tiny import tiny_config

LEVEL = Fraction(1, 255)
CONFIG = tiny_config()


def notices(**options: Any) -> tuple[str, ...]:
    return requested_suite(EvaluationRequest(Path("x"), **options), CONFIG).notices()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("levels", [1, 4, 8, 9, 16, 31, 64])
def test_by_default_steps_cross_the_ball_of_every_radius(norm: Norm, levels: int) -> None:
    epsilon = levels * LEVEL * (1 if norm == "linf" else 10)
    attack = requested_suite(EvaluationRequest(Path("x"), (epsilon,), norm=norm), CONFIG).attack(epsilon)
    assert attack.steps * attack.step_size >= 2 * epsilon
    assert attack.steps >= 10


def test_at_8_255_the_default_is_the_paper_s_attack() -> None:
    suite = requested_suite(EvaluationRequest(Path("x")), CONFIG)
    paper = requested_suite(EvaluationRequest(Path("x"), as_paper=True), CONFIG)
    assert suite.attack(8 * LEVEL) == paper.attack(8 * LEVEL)
    assert [suite.attack(epsilon).steps for epsilon in suite.epsilons] == [10, 20]
    assert [paper.attack(epsilon).steps for epsilon in paper.epsilons] == [10, 10]


@pytest.mark.parametrize("options", [{"steps": 10}, {"steps": 2}, {"steps": 20, "step_size": LEVEL}])
def test_steps_given_by_hand_are_obeyed_and_told_where_they_cannot_cross(options: dict[str, Any]) -> None:
    assert "do not span the ball" in notices(**options)[0]


def test_a_step_size_given_alone_gets_as_many_steps_as_cross_within_reason() -> None:
    request = EvaluationRequest(Path("x"), (8 * LEVEL,), step_size=LEVEL)
    assert requested_suite(request, CONFIG).attack(8 * LEVEL).steps == 20
    assert not notices(epsilons=(8 * LEVEL,), step_size=LEVEL)
    assert "1000 steps" in notices(epsilons=(8 * LEVEL,), step_size="1e-6")[0]
    assert "nothing is attacked" in notices(epsilons=(8 * LEVEL,), step_size=0)[0]


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"steps": 40}, "--steps"),
        ({"step_size": LEVEL}, "--step-size"),
        ({"restarts": 5}, "--restarts"),
        ({"decides": "any"}, "--decides"),
        ({"norm": "l2"}, "--norm"),
        ({"attack": "autoattack"}, "--attack"),
    ],
)
def test_as_the_paper_nothing_else_can_be_asked_for(options: dict[str, Any], option: str) -> None:
    with pytest.raises(ConfigError, match=f"^--as-paper is PGD .* leave out {option}, or leave out --as-paper$"):
        EvaluationRequest(Path("x"), as_paper=True, **options)


def test_as_the_paper_no_curve_is_measured() -> None:
    with pytest.raises(ConfigError, match="give the radii one by one"):
        EvaluationRequest(Path("x"), as_paper=True, is_curve=True)


def test_as_the_paper_the_same_may_be_said_and_the_space_chosen() -> None:
    request = EvaluationRequest(Path("x"), as_paper=True, steps=10, step_size="2/255", space="released-code")
    assert requested_suite(request, CONFIG).space.name == RELEASED_CODE
