from collections.abc import Callable
from fractions import Fraction

import pytest

from claf_engine.attacks import RELEASED_CODE, Space, crossing_step_size, make_attack
from claf_engine.attacks.weakness import unit_notices, weaknesses
from claf_engine.terms.names import Norm

LEVEL = Fraction(1, 255)
NUM_VALUES = 3 * 32 * 32


def said(name: str, epsilon: Fraction, steps: int, step_size: Fraction, norm: Norm = "linf") -> str:
    attack = make_attack(name, epsilon, steps=steps, step_size=step_size, norm=norm)
    return "; ".join(weaknesses([attack], NUM_VALUES))


@pytest.mark.parametrize(
    ("name", "levels", "steps", "step_levels", "is_weak"),
    [
        ("pgd", 24, 3, 1, True),
        ("pgd", 16, 10, 2, True),
        ("pgd", 10, 10, 2, False),
        ("pgd", 24, 30, 2, False),
        ("mi-fgsm", 16, 8, 2, False),
        ("mi-fgsm", 16, 7, 2, True),
        ("fgsm", 16, 1, 0, False),
    ],
)
def test_an_attack_that_cannot_cross_its_ball_is_told(
    name: str, levels: int, steps: int, step_levels: int, *, is_weak: bool
) -> None:
    assert ("do not span the ball" in said(name, levels * LEVEL, steps, step_levels * LEVEL)) == is_weak


@pytest.mark.parametrize(("steps", "step_size"), [(10, Fraction(0)), (0, 2 * LEVEL)])
def test_an_attack_that_takes_no_way_is_told_to_attack_nothing(steps: int, step_size: Fraction) -> None:
    assert said("pgd", 8 * LEVEL, steps, step_size).startswith("from 8/255 on nothing is attacked")


def test_at_radius_0_there_is_nothing_to_cross() -> None:
    assert not said("pgd", Fraction(0), 10, Fraction(0))


def test_the_first_radius_that_is_too_wide_is_named() -> None:
    attacks = [make_attack("pgd", level * LEVEL, step_size=2 * LEVEL) for level in (4, 12, 16)]
    (notice,) = weaknesses(attacks)
    assert notice.startswith("from 12/255 on the attack may be too weak: 10 steps of 2/255")


@pytest.mark.parametrize(
    ("norm", "radius", "sentence"),
    [
        ("l2", 8 * LEVEL, "an L2 radius of 8/255 hardly changes an image"),
        ("l2", Fraction(1, 2), ""),
        ("l2", Fraction(3), ""),
        ("l2", Fraction(30), "no network is better than chance there"),
        ("linf", Fraction(1, 2), "no network is better than chance there; an L2 radius needs --norm l2"),
        ("linf", 64 * LEVEL, ""),
    ],
)
def test_a_radius_in_the_units_of_another_norm_is_told(norm: Norm, radius: Fraction, sentence: str) -> None:
    found = said("pgd", radius, 10, crossing_step_size(radius, 10), norm)
    assert sentence in found
    assert bool(found) == bool(sentence)


def test_small_l2_radii_beside_a_usual_one_are_no_mistake() -> None:
    assert not unit_notices((Fraction(1, 20), Fraction(1, 2)), "l2")
    assert not unit_notices((Fraction(1, 20),), "l2", largest=Fraction(1, 2))
    assert unit_notices((Fraction(1, 20),), "l2")


def test_a_radius_of_the_released_code_is_no_distance_between_images() -> None:
    space = Space(RELEASED_CODE, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    attack = make_attack("pgd", Fraction(1, 2), step_size=Fraction(1, 5), space=space)
    assert not weaknesses([attack], NUM_VALUES)


@pytest.mark.parametrize("write", [float, str, lambda distance: distance])
def test_an_attack_takes_its_distances_in_any_form(write: Callable[[Fraction], str | float | Fraction]) -> None:
    attack = make_attack("pgd", write(8 * LEVEL), step_size=write(2 * LEVEL))
    assert (attack.epsilon, attack.step_size) == (8 * LEVEL, 2 * LEVEL)
