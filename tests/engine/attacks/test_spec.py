from fractions import Fraction
from typing import Any

import pytest

from claf_engine.attacks import Attack, from_config, make_attack, space_of
from claf_engine.attacks.spec import Start
from claf_engine.config import AttackConfig, ModelConfig
from claf_engine.terms.names import AttackName, Norm
from tests.engine.attacks.helpers import RELEASED

EPSILON, STEP = Fraction(8, 255), Fraction(2, 255)


@pytest.mark.parametrize(
    ("attack", "title"),
    [
        (Attack(EPSILON, STEP, 10), "PGD-10 at 8/255"),
        (Attack(Fraction(16, 255), STEP, 1), "PGD-1 at 16/255"),
        (Attack(Fraction("0.03"), STEP, 5), "PGD-5 at 0.03"),
        (make_attack("pgd", Fraction(1, 2), norm="l2"), "PGD-10 L2 at 0.5"),
        (make_attack("fgsm", EPSILON), "FGSM at 8/255"),
        (make_attack("mi-fgsm", EPSILON, steps=20), "MI-FGSM-20 at 8/255"),
        (make_attack("pgd", EPSILON, space=RELEASED), "PGD-10 at 8/255 (released-code)"),
    ],
)
def test_the_title_says_the_attack_the_steps_and_the_exact_radius(attack: Attack, title: str) -> None:
    assert attack.title == title


def test_pgd_has_a_random_start_and_no_momentum() -> None:
    assert make_attack("pgd", EPSILON, steps=7, step_size=STEP) == Attack(EPSILON, STEP, 7, "uniform", "linf", None)


def test_fgsm_is_one_step_of_epsilon_from_the_image_itself() -> None:
    attack = make_attack("fgsm", EPSILON, steps=10, step_size=STEP)
    assert attack == Attack(EPSILON, EPSILON, 1, "none", "linf", None, "fgsm")


def test_mi_fgsm_has_momentum_one_and_starts_at_the_image_itself() -> None:
    attack = make_attack("mi-fgsm", EPSILON, steps=5, step_size=STEP)
    assert attack == Attack(EPSILON, STEP, 5, "none", "linf", 1.0, "mi-fgsm")


@pytest.mark.parametrize(
    ("name", "norm", "step_size"),
    [
        ("pgd", "linf", Fraction(2, 255)),
        ("pgd", "l2", Fraction(5, 2) * EPSILON / 20),
        ("mi-fgsm", "linf", EPSILON / 20),
        ("mi-fgsm", "l2", EPSILON / 20),
        ("fgsm", "l2", EPSILON),
    ],
)
def test_every_attack_has_a_step_size_of_its_own(name: AttackName, norm: Norm, step_size: Fraction) -> None:
    assert make_attack(name, EPSILON, steps=20, norm=norm).step_size == step_size


def test_an_attack_is_made_in_the_asked_for_norm_and_space() -> None:
    for name in ("pgd", "fgsm", "mi-fgsm"):
        attack = make_attack(name, EPSILON, norm="l2", space=RELEASED)
        assert (attack.norm, attack.space) == ("l2", RELEASED)


def test_a_config_section_describes_an_attack() -> None:
    config = AttackConfig(epsilon=Fraction(4, 255), step_size=Fraction(1, 255), steps=7, random_start=False)
    assert from_config(config, ModelConfig()) == Attack(Fraction(4, 255), Fraction(1, 255), 7, start="none")


def test_an_attack_from_a_config_begins_at_random_unless_told_otherwise() -> None:
    assert from_config(AttackConfig(), ModelConfig()).start == "uniform"


def test_an_attack_from_a_config_has_its_norm_and_space() -> None:
    model = ModelConfig(mean=(0.1, 0.2, 0.3))
    attack = from_config(AttackConfig(norm="l2", space="released-code"), model)
    assert (attack.norm, attack.space) == ("l2", space_of("released-code", model))


def test_an_attack_from_a_config_may_have_another_number_of_steps() -> None:
    assert from_config(AttackConfig(steps=7), ModelConfig(), steps=0).steps == 0


@pytest.mark.parametrize(
    ("settings", "usual", "start"),
    [
        ({}, "uniform", "uniform"),
        ({}, "gaussian", "gaussian"),
        ({"start": "bernoulli"}, "gaussian", "bernoulli"),
        ({"start": "uniform"}, "gaussian", "uniform"),
        ({"random_start": False}, "gaussian", "none"),
    ],
)
def test_the_attack_of_training_starts_where_the_settings_say(
    settings: dict[str, Any], usual: Start, start: Start
) -> None:
    config = AttackConfig.model_validate(settings)
    assert from_config(config, ModelConfig(), usual=usual).start == start
