from fractions import Fraction

import pytest

from claf_engine.terms.reach import reach_sentence, written_reach

LEVEL = Fraction(1, 255)


def test_steps_that_just_cross_the_ball_are_enough_and_a_shorter_way_is_not() -> None:
    assert not reach_sentence(16 * LEVEL, 16, 2 * LEVEL)
    assert "15 steps of 2/255 do not span the ball" in reach_sentence(16 * LEVEL, 15, 2 * LEVEL)


@pytest.mark.parametrize(
    ("attack", "steps", "is_short"),
    [("pgd", 10, True), ("pgd", 20, False), ("mi-fgsm", 10, False), ("mi-fgsm", 7, True), ("square", 1, False)],
)
def test_an_attack_in_a_record_is_judged_by_what_it_has_to_walk(attack: str, steps: int, *, is_short: bool) -> None:
    assert bool(written_reach(attack, "16/255", steps, "2/255")) == is_short


@pytest.mark.parametrize("step_size", ["own", "adaptive", None, "1e999", "-1", [2]])
def test_a_step_size_that_is_no_distance_is_not_judged(step_size: object) -> None:
    assert written_reach("pgd", "16/255", 10, step_size) == ""
