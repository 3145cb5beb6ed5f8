"""Accuracy where any point of an attack decides, next to accuracy where the last one does."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from claf_engine.accuracy.curve_steps import curve_steps
from claf_engine.accuracy.defences import defended_steps
from claf_engine.accuracy.squeezing import Squeezing
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import RELEASED_CODE, Space, predict
from claf_engine.data import Split, to_pixels
from claf_engine.terms.errors import ClafError
from claf_engine.terms.pixels import parse_radii
from tests.engine.known_accuracy import (
    Linear,
    Threshold,
    Waves,
    gray_images,
    linear_robust_accuracy,
    measure,
    robust,
    suite,
)
from tests.engine.tiny import FP32, exhaust
from tests.properties import examples

EPSILON = Fraction(8, 255)
RELEASED = Space(RELEASED_CODE, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


def waves_and_images(count: int = 120, seed: int = 0) -> tuple[Waves, Split]:
    """A model and images 2x2, of which it gets one in ten wrong."""
    model = Waves(seed)
    images = torch.randint(40, 216, (count, 3, 2, 2), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)
    labels = predict(model, to_pixels(images), FP32)
    labels[::10] = (labels[::10] + 1) % 3
    return model, Split(images, labels)


def both(model: Waves, split: Split, attacks: AttackSuite, **options: Any) -> tuple[list[float], list[float]]:
    """Robust accuracies where any point decides, and where the last one does."""
    anywhere = measure(model, split, replace(attacks, decides="any"), **options)
    return robust(anywhere), robust(measure(model, split, attacks, **options))


@examples(30)
@given(
    name=st.sampled_from(["pgd", "fgsm", "mi-fgsm"]),
    norm=st.sampled_from(["linf", "l2"]),
    space=st.sampled_from([Space(), RELEASED]),
    radius=st.integers(0, 24),
    steps=st.integers(1, 6),
    step_size=st.sampled_from([None, Fraction(16, 255)]),
    seed=st.integers(0, 3),
    batch_size=st.sampled_from([50, 250]),
)
def test_it_is_never_above_the_accuracy_at_the_last_point_from_the_same_starts(
    name: Any, norm: Any, space: Space, radius: int, steps: int, step_size: Fraction | None, seed: int, batch_size: int
) -> None:
    model, split = waves_and_images(seed=seed)
    attacks = AttackSuite((Fraction(radius, 255),), steps, step_size, 1, seed, name, norm, space)
    (anywhere,), (at_last,) = both(model, split, attacks, batch_size=batch_size)
    assert anywhere <= at_last


def test_it_is_below_where_an_attack_leaves_what_it_found() -> None:
    model, split = waves_and_images()
    (anywhere,), (at_last,) = both(model, split, AttackSuite((2 * EPSILON,), 6, 2 * EPSILON))
    assert anywhere < at_last


def test_where_nothing_is_broken_both_are_natural_accuracy() -> None:
    images = torch.linspace(20, 100, 80).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    split = Split(images.clone(), torch.zeros(80, dtype=torch.int64))
    for decides in ("any", "last"):
        accuracy = measure(Threshold(), split, suite(0, EPSILON, restarts=2, decides=decides))
        assert (accuracy.natural, robust(accuracy)) == (1.0, [1.0, 1.0])


@pytest.mark.parametrize(("norm", "radius"), [("linf", EPSILON), ("l2", Fraction(1, 10))])
def test_a_linear_model_has_the_robust_accuracy_of_its_closed_form(norm: Any, radius: Fraction) -> None:
    model, split = Linear(), gray_images()
    attacks = AttackSuite((radius,), 20, None, norm=norm, decides="any")
    assert robust(measure(model, split, attacks)) == [linear_robust_accuracy(model, split, radius, norm)]


def test_a_radius_of_zero_gives_natural_accuracy() -> None:
    model, split = waves_and_images()
    accuracy = measure(model, split, suite(0, decides="any", restarts=2))
    assert robust(accuracy) == [accuracy.natural] == [0.9]


def test_more_restarts_never_raise_it() -> None:
    model, split = waves_and_images()
    figures = [robust(measure(model, split, suite(EPSILON, steps=1, restarts=n, decides="any")))[0] for n in (1, 2, 4)]
    assert figures == sorted(figures, reverse=True)


def test_its_curve_never_rises_and_begins_at_the_figure_that_is_measured_alone() -> None:
    model, split = waves_and_images()
    attacks = suite(*parse_radii("2/255:16/255:2/255"), decides="any")
    _, accuracy = exhaust(curve_steps(model, split, ("a", "b", "c"), attacks, FP32))
    figures = robust(accuracy)
    assert figures == sorted(figures, reverse=True)
    assert figures[0] == robust(measure(model, split, suite(Fraction(2, 255), decides="any")))[0]
    assert {figure.decides for figure in accuracy.robust} == {"any"}


@pytest.mark.parametrize("decides", ["last", "any"])
def test_a_figure_says_which_point_decided(decides: Any) -> None:
    (figure,) = measure(Linear(), gray_images(20), suite(EPSILON, decides=decides)).robust
    assert figure.decides == decides


def test_both_attackers_of_a_defence_are_judged_at_any_point() -> None:
    model, split = waves_and_images()
    figures = {}
    for decides in ("any", "last"):
        attacks = AttackSuite((2 * EPSILON,), 6, 2 * EPSILON, decides=decides)
        steps = defended_steps(model, Squeezing("bit-depth", 5), split, attacks, FP32)
        figures[decides] = exhaust(steps)[1].robust
    assert {figure.decides for figure in figures["any"]} == {"any"}
    pairs = list(zip(figures["any"], figures["last"], strict=True))
    assert all(anywhere.accuracy <= at_last.accuracy for anywhere, at_last in pairs)
    assert any(anywhere.accuracy < at_last.accuracy for anywhere, at_last in pairs)


def test_a_model_without_numbers_near_its_images_gives_no_figure() -> None:
    class Cracked(Threshold):
        def forward(self, images: Tensor) -> Tensor:
            is_moved = (images * 255 - (images * 255).round()).abs().amax((1, 2, 3)) > 1e-3
            return super().forward(images) * torch.where(is_moved, torch.nan, 1.0)[:, None]

    split = Split(torch.full((40, 3, 2, 2), 150, dtype=torch.uint8), torch.ones(40, dtype=torch.int64))
    with pytest.raises(ClafError, match="not finite"):
        measure(Cracked(), split, suite(EPSILON, decides="any"))
