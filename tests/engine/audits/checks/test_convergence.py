from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from claf_engine.attacks import gradient_of, log_odds
from claf_engine.audits.checks.convergence import CHECKS, Path
from claf_engine.audits.diagnostic import NotRun
from tests.engine.audits.fixtures import (
    BUDGET,
    RELEASED,
    SOUND,
    Build,
    bench_of,
    examiner,
    grey,
    images_of,
    misclassified,
    resumed,
    robust,
)
from tests.engine.tiny import FP32

NAMES = [check.name for check in CHECKS]
examined = examiner(CHECKS)


def levels(images: Tensor) -> Tensor:
    """How far above their grey (N, 3, 8, 8) images are, in levels of 255, pixel for pixel."""
    return images * 255 - 128


class Guided(nn.Module):
    """Right or wrong by the mean level of the image, with a gradient that has nothing to do with that.

    Args:
        is_wrong: mean levels (N,) to bool.
        slope: mean levels (N,) to the derivative of the wrong class's logit by them.
    """

    def __init__(self, is_wrong: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor] = torch.ones_like):
        super().__init__()
        self._is_wrong, self._slope = is_wrong, slope

    def forward(self, images: Tensor) -> Tensor:
        mean = levels(images).mean((1, 2, 3))
        fixed = mean.detach()
        wrong = 2 * self._is_wrong(fixed).float() - 1 + self._slope(fixed) * (mean - fixed)
        return torch.stack([torch.zeros_like(wrong), wrong], 1)


def walked_past() -> Guided:
    """Wrong between 3 and 6 levels above grey alone, where its attack does not stop."""
    return Guided(is_wrong=lambda mean: (mean > 3) & (mean < 6))


class OneByOne(nn.Module):
    """Wrong once all of five pixels are 6 levels up; the gradient moves the one that lags behind."""

    def forward(self, images: Tensor) -> Tensor:
        wrong = levels(images)[:, 0, 0, :5].min(1).values - 6
        return torch.stack([torch.zeros_like(wrong), wrong], 1)


class TwoWays(nn.Module):
    """Wrong where one pixel is 6 levels up; the gradient moves it away from the image, up or down."""

    def forward(self, images: Tensor) -> Tensor:
        pixel = levels(images)[:, 0, 0, 0]
        wrong = torch.where(pixel > 0, pixel - 6, -pixel - 100)
        return torch.stack([torch.zeros_like(wrong), wrong], 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("build", SOUND)
def test_a_network_that_hides_nothing_passes(name: str, build: Build) -> None:
    assert examined(name, bench_of(build())).verdict == "passes"


def test_an_attack_that_needs_more_steps_fails_and_says_how_far_accuracy_fell() -> None:
    finding = examined("steps", bench_of(OneByOne(), grey(20), budget=replace(BUDGET, steps=(10, 20, 80))))
    assert finding.verdict == "fails"
    assert finding.figure.startswith("95.0 % -> 0.0 %: 95.0 points (at least ")
    assert list(finding.values["accuracy"]) == ["10", "20", "80"]


def test_an_attack_that_depends_on_its_start_fails() -> None:
    finding = examined("restarts", bench_of(TwoWays(), grey(40), budget=replace(BUDGET, restarts=(1, 4))))
    assert finding.verdict == "fails"
    assert finding.values["drop"] > 0.2


def test_a_gradient_that_leads_small_steps_back_makes_fgsm_stronger_and_fails() -> None:
    lured = Guided(is_wrong=lambda mean: mean > 6, slope=lambda mean: torch.where(mean < 2, 1.0, -1.0))
    finding = examined("fgsm", bench_of(lured, grey(20)))
    assert finding.verdict == "fails"
    assert finding.figure.startswith("FGSM leaves 0.0 %, PGD-10 100.0 %: 100.0 points (at least ")


def test_an_attack_that_walks_past_what_breaks_fails_and_the_worst_case_knows() -> None:
    bench = bench_of(walked_past(), grey(10))
    assert examined("restarts", bench).values["drop"] == 0
    assert bench.worst_case().all()
    finding = examined("silent-success", bench)
    assert (finding.verdict, finding.values["share"]) == ("fails", 1)
    assert finding.figure.endswith(" broken on the way only")
    assert not bench.worst_case().any()


def test_silent_success_is_found_again_by_an_audit_that_goes_on() -> None:
    bench = bench_of(walked_past(), grey(10))
    before = examined("silent-success", bench)
    assert examined("silent-success", resumed(bench)) == before


def test_judging_every_step_never_leaves_more_than_judging_the_last() -> None:
    bench = bench_of(robust())
    examined("silent-success", bench)
    (outcome,) = (outcome for label, outcome in bench.outcomes.items() if "every step" in label)
    assert outcome.recipe is not None
    assert (outcome.recipe.attack, outcome.recipe.steps, outcome.recipe.step_size) == ("pgd", 10, "2/255")
    assert outcome.is_in_ball
    assert 0 < outcome.largest_distance <= 8 / 255 + 1e-6


def test_the_path_climbs_the_same_gradient_as_the_attack() -> None:
    model, split = robust(), images_of(8)
    images = split.images.float() / 255
    path = Path(model, images, split.labels, FP32)
    expected = gradient_of(model, partial(log_odds, labels=split.labels), FP32)(images)
    assert torch.equal(path.gradient(images), expected)


def test_the_path_keeps_the_first_broken_point_of_each_image() -> None:
    model = Guided(is_wrong=lambda mean: mean > 3)
    images = grey(2).images.float() / 255
    path = Path(model, images, grey(2).labels, FP32)
    for level in (1, 4, 5):
        path.gradient(images + torch.tensor([level / 255, 0]).view(2, 1, 1, 1))
    worst = levels(path.worst(images)).mean((1, 2, 3))
    assert path.broken.tolist() == [True, False]
    assert worst.tolist() == pytest.approx([4, 0], abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_passes_where_nothing_is_classified_correctly(name: str) -> None:
    with pytest.raises(NotRun, match="no image is classified correctly"):
        examined(name, bench_of(robust(), misclassified(robust())))


@pytest.mark.parametrize("name", NAMES)
def test_the_released_code_s_space_is_attacked_in_its_own_coordinates(name: str) -> None:
    bench = bench_of(robust(), space=RELEASED)
    examined(name, bench)
    moved = [outcome.largest_distance for outcome in bench.outcomes.values() if outcome.recipe is not None]
    assert min(moved) > 8 / 255
