from collections.abc import Generator
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from claf_engine.audits.bench import Bench, Outcome, Recipe
from claf_engine.audits.crafted import Crafted, crafted_steps, gradient_survivors, percent
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import ClafError
from tests.engine.audits.fixtures import RELEASED, bench_of, images_of, robust_linear
from tests.engine.tiny import exhaust

ALL = torch.ones(60, dtype=torch.bool)


def moved_by(distance: float, batch_size: int = 50) -> Crafted:
    """An attack that makes every image brighter, and tells of every batch."""

    def craft(images: Tensor, _: Tensor, batch: int) -> Generator[Pulse, None, Tensor]:
        yield Pulse(f"batch {batch} of {len(images)}")
        return images + distance

    return Crafted("brighter", Recipe("bright", "8/255"), craft, batch_size)


def bench() -> Bench:
    return bench_of(robust_linear())


def test_examples_that_fell_before_stay_broken_and_are_not_attacked() -> None:
    standing = torch.arange(60) < 20
    pulses, outcome = exhaust(crafted_steps(bench(), moved_by(0), standing))
    assert [pulse.activity for pulse in pulses] == ["batch 0 of 20"]
    assert not outcome.survives[20:].any()


def test_a_limit_attacks_the_first_and_lets_the_others_stand() -> None:
    pulses, outcome = exhaust(crafted_steps(bench(), moved_by(0, batch_size=4), ALL, 6))
    assert [pulse.activity for pulse in pulses] == ["batch 0 of 4", "batch 1 of 2"]
    assert outcome.survives[6:].all()


def test_the_subject_says_what_survives_and_how_far_it_was_moved() -> None:
    subject = bench()
    natural = exhaust(subject.natural())[1]
    outcome = exhaust(crafted_steps(subject, moved_by(0.01), ALL))[1]
    assert torch.equal(outcome.survives, natural.survives)
    assert outcome.largest_distance == pytest.approx(0.01, abs=1e-6)
    assert outcome.is_in_ball


def test_a_known_outcome_is_not_made_again() -> None:
    subject = bench()
    first = exhaust(crafted_steps(subject, moved_by(0), ALL))[1]
    pulses, again = exhaust(crafted_steps(subject, moved_by(0), ALL))
    assert again is first
    assert not pulses


@pytest.mark.parametrize("distance", [0.04, 0.9, -0.9])
def test_images_outside_the_ball_are_refused(distance: float) -> None:
    with pytest.raises(ClafError, match="^brighter left the ball"):
        exhaust(crafted_steps(bench(), moved_by(distance), ALL))


def test_images_outside_0_to_1_are_refused_although_near() -> None:
    white = images_of()
    white.images[:] = 255
    with pytest.raises(ClafError, match=r"^brighter left \[0, 1\]"):
        exhaust(crafted_steps(bench_of(robust_linear(), white), moved_by(0.01), ALL))


def test_images_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ClafError, match="^brighter gave an image that is not finite"):
        exhaust(crafted_steps(bench(), moved_by(torch.nan), ALL))


def test_the_released_code_s_space_has_no_ball_to_leave() -> None:
    exhaust(crafted_steps(bench_of(robust_linear(), space=RELEASED), moved_by(0.2), ALL))


def test_gradient_survivors_leave_out_what_needed_no_gradient_or_left_the_ball() -> None:
    subject = bench()
    for label, is_in_ball, rows in (("square", True, 0), ("pgd", True, 1), ("apgd-ce", True, 2), ("far pgd", False, 3)):
        survives = ALL.clone()
        survives[rows] = False
        recipe = Recipe(label.removeprefix("far "), str(Fraction(8, 255)))
        subject.record(Outcome(label, survives, is_in_ball, 0.0, 0.0, recipe))
    assert (~gradient_survivors(subject)).nonzero()[:, 0].tolist() == [1, 2]


def test_a_share_is_told_in_percent() -> None:
    assert percent(0.8781) == "87.8 %"
