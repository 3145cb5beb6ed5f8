from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from claf_engine.audits.bench import Bench, Outcome
from claf_engine.audits.checks.sweep import CHECKS, draw_steps, guessing
from claf_engine.audits.diagnostic import NotRun
from claf_engine.data import Split, to_pixels
from tests.engine.audits.fixtures import (
    BUDGET,
    EPSILON,
    RELEASED,
    SOUND,
    Build,
    Damage,
    bench_of,
    check_of,
    examiner,
    gradient_killed,
    grey,
    images_of,
    linear_robust_accuracy,
    misclassified,
    quantised,
    resumed,
    robust,
    robust_linear,
    undefended,
)
from tests.engine.tiny import exhaust

NAMES = [check.name for check in CHECKS]
examined = examiner(CHECKS)


def darker(count: int) -> Split:
    """20 images of one grey and of class 0; the first pixel of the first few is darker."""
    split = grey(20)
    split.images[:count, 0, 0, 0] = 50
    return split


def of_noise(bench: Bench) -> Outcome:
    (outcome,) = (outcome for outcome in bench.outcomes.values() if outcome.recipe and outcome.recipe.attack == "noise")
    return outcome


class Returning(nn.Module):
    """Wrong between 2 and 20 levels above grey, right again beyond, and wrong near white."""

    def forward(self, images: Tensor) -> Tensor:
        mean = (images * 255 - 128).mean((1, 2, 3))
        wrong = torch.where((mean > 2) & (mean < 20) | (mean > 100), 1.0, -1.0) + mean - mean.detach()
        return torch.stack([torch.zeros_like(wrong), wrong], 1)


class Masked(nn.Module):
    """Breaks where all is brighter; with a dark first pixel where one other is, and the gradient hides that."""

    def forward(self, images: Tensor) -> Tensor:
        brighter = images * 255 - 128
        masked = brighter[:, 0, 4, 4].detach() - 7.99
        wrong = masked.where(images[:, 0, 0, 0] < 0.4, brighter.mean((1, 2, 3)) - 4)
        return torch.stack([0 * images.sum((1, 2, 3)), wrong], 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("build", SOUND)
def test_a_network_that_hides_nothing_passes(name: str, build: Build) -> None:
    assert examined(name, bench_of(build())).verdict == "passes"


@pytest.mark.parametrize("damage", [gradient_killed, quantised])
@pytest.mark.parametrize(("name", "build"), [("epsilon-sweep", robust), ("noise", undefended)])
def test_hidden_gradients_fail(name: str, build: Build, damage: Damage) -> None:
    budget = replace(BUDGET, noise_examples=60)
    assert examined(name, bench_of(damage(build()), budget=budget)).verdict == "fails"


def test_a_robust_network_without_gradients_keeps_accuracy_at_any_radius_and_fails() -> None:
    finding = examined("epsilon-sweep", bench_of(gradient_killed(robust())))
    assert finding.verdict == "fails"
    assert finding.values["accuracy"]["255/255"] > 0.01


def test_accuracy_that_rises_with_the_radius_fails() -> None:
    finding = examined("epsilon-sweep", bench_of(Returning(), darker(1)))
    assert (finding.verdict, finding.values["largest_rise"]) == ("fails", 1.0)
    assert finding.values["accuracy"]["255/255"] == 0


def test_the_sweep_of_a_linear_model_is_its_closed_form() -> None:
    model = robust_linear()
    finding = examined("epsilon-sweep", bench_of(model))
    assert finding.values["accuracy"]["8/255"] == linear_robust_accuracy(model, images_of(), EPSILON)
    assert finding.values["guessing_reached_at"] == "64/255"
    assert finding.figure.endswith("0.0 % at 64/255, 0.0 % at 255/255")


def test_radii_beyond_the_claim_do_not_count_for_its_worst_case() -> None:
    bench = bench_of(robust_linear())
    finding = examined("epsilon-sweep", bench)
    assert float(bench.worst_case().double().mean()) == finding.values["accuracy"]["8/255"]


@pytest.mark.parametrize(("count", "verdict"), [(1, "passes"), (4, "warns")])
def test_noise_that_breaks_more_images_than_chance_which_gradients_could_not_warns(count: int, verdict: str) -> None:
    finding = examined("noise", bench_of(Masked(), darker(count)))
    assert finding.verdict == verdict
    assert finding.values["missed"] == pytest.approx(count / 20)
    assert finding.values["pgd"] == pytest.approx(count / 20)
    assert finding.values["noise"] > count / 20


def test_noise_is_asked_of_the_first_images_alone_and_the_others_stand() -> None:
    bench = bench_of(gradient_killed(undefended()))
    assert examined("noise", bench).values["num_examples"] == 20
    outcome = of_noise(bench)
    assert outcome.survives[20:].all()
    assert not outcome.survives[:20].all()
    assert not bench.worst_case()[:20].all()


def test_an_audit_that_goes_on_finds_the_same_without_drawing_again() -> None:
    bench = bench_of(gradient_killed(undefended()))
    before = examined("noise", bench)
    pulses, after = exhaust(check_of(CHECKS, "noise").run(resumed(bench)))
    assert after == before
    assert not pulses


def test_points_lie_in_the_ball_and_every_second_one_at_a_corner() -> None:
    seen: list[Tensor] = []

    class Watching(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images)
            return torch.zeros(len(images), 4)

    split = images_of(8)
    images = to_pixels(split.images)
    exhaust(draw_steps(bench_of(Watching(), split), images, split.labels, 0))
    moved = [(points - images).abs() for points in seen]
    assert all(float(distance.max()) <= 8 / 255 + 1e-6 for distance in moved)
    assert all(float(distance.min()) == pytest.approx(8 / 255, abs=1e-6) for distance in moved[1::2])
    assert all(float(distance.mean()) == pytest.approx(4 / 255, rel=0.05) for distance in moved[::2])


def test_guessing_names_the_most_frequent_class() -> None:
    assert guessing(torch.tensor([0, 2, 2, 1])) == 0.5


@pytest.mark.parametrize("name", NAMES)
def test_nothing_passes_where_nothing_is_classified_correctly(name: str) -> None:
    with pytest.raises(NotRun, match="no image is classified correctly"):
        examined(name, bench_of(robust(), misclassified(robust())))


def test_noise_of_the_released_code_s_space_is_drawn_in_its_coordinates() -> None:
    bench = bench_of(robust(), space=RELEASED)
    examined("noise", bench)
    outcome = of_noise(bench)
    assert outcome.recipe is not None
    assert outcome.recipe.space == "released-code"
