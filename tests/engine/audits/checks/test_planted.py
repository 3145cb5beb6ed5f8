from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from claf_engine.audits.bench import Bench
from claf_engine.audits.checks.planted import CHECKS, PlantedModel, Readout, choose_readout, random_corners
from claf_engine.audits.diagnostic import Finding, NotRun
from claf_engine.models.network import Pipeline
from tests.engine.audits.fixtures import (
    BUDGET,
    RELEASED,
    Build,
    Damage,
    Wrapped,
    bench_of,
    found,
    gradient_killed,
    quantised,
    random_forward,
    robust,
    robust_linear,
    robust_network,
    saturated,
    undefended,
    undefended_linear,
)

MANY = replace(BUDGET, noise_examples=80, noise_draws=50)


def examined(model: nn.Module, **changes: Any) -> Finding:
    options: dict[str, Any] = {"budget": MANY, **changes}
    return found(CHECKS[0], bench_of(model, **options))


@pytest.mark.parametrize("build", [robust, robust_linear, undefended_linear])
def test_an_attack_with_a_gradient_finds_what_was_planted(build: Build) -> None:
    finding = examined(build())
    assert finding.verdict == "passes"
    assert finding.values["random_rate"] < 0.3
    assert finding.values["tried"] == 40


def test_in_an_undefended_network_most_are_found() -> None:
    # In a ball as small as what this network reads, so that hardly a point is hidden behind a curve of its features.
    assert examined(undefended(), epsilon=Fraction(2, 255), step_size=Fraction(1, 510)).values["rate"] > 0.8


@pytest.mark.parametrize("damage", [gradient_killed, quantised])
@pytest.mark.parametrize("build", [robust, robust_linear, undefended_linear])
def test_without_a_gradient_it_fails(build: Build, damage: Damage) -> None:
    finding = examined(damage(build()))
    assert finding.verdict == "fails"
    assert finding.values["rate"] < 0.3


def test_the_features_of_a_pipeline_are_its_encoders() -> None:
    encoder = Wrapped(robust_network().encoder, after=lambda features: features.detach() + 0 * features)
    model = Pipeline(encoder, robust_network().classifiers["adversarial"])
    assert examined(model).verdict == "fails"


def test_the_size_of_the_logits_does_not_matter() -> None:
    assert examined(saturated(robust())).verdict == "passes"


def test_an_attack_that_cannot_reach_the_boundary_fails() -> None:
    assert examined(robust(), step_size=Fraction(1, 2550)).verdict == "fails"


class Constant(nn.Module):
    """Logits that do not depend on the image."""

    def forward(self, images: Tensor) -> Tensor:
        return 0 * images.flatten(1)[:, :4] + torch.arange(4)


@pytest.mark.parametrize(
    ("model", "reason"),
    [(Constant(), "on 0 of 40 images only"), (random_forward(robust_linear()), "other features each time")],
)
def test_where_no_readout_can_be_built_it_is_not_run(model: nn.Module, reason: str) -> None:
    with pytest.raises(NotRun, match=reason):
        examined(model)


def test_in_a_space_without_a_ball_it_is_not_run() -> None:
    with pytest.raises(NotRun, match="released-code space has none"):
        examined(robust(), space=RELEASED)


def test_where_random_search_finds_the_points_as_well_they_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_found(bench: Bench, model: nn.Module, images: Tensor) -> Any:
        yield from ()
        return len(images)

    monkeypatch.setattr("claf_engine.audits.checks.planted._search_steps", all_found)
    with pytest.raises(NotRun, match="random search finds 100.0 %"):
        examined(robust())
    assert examined(gradient_killed(robust())).verdict == "fails"


@pytest.mark.parametrize("batch_size", [7, 250])
def test_every_image_keeps_its_own_readout_whatever_the_batch_size(batch_size: int) -> None:
    assert examined(robust(), batch_size=batch_size).verdict == "passes"


def test_nothing_is_kept_because_the_modified_model_is_not_the_claims() -> None:
    begun = bench_of(robust())
    found(CHECKS[0], begun)
    assert not begun.outcomes


@given(st.integers(0, 1000), st.integers(2, 12), st.integers(5, 40))
def test_a_readout_has_all_inner_points_on_one_side_and_the_planted_one_on_the_other(
    seed: int, dim: int, count: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    inner, corners = torch.randn(count, dim, generator=generator), torch.randn(20, dim, generator=generator)
    chosen = choose_readout(inner, corners)
    if chosen is None:
        return
    readout, position = chosen
    scores = PlantedModel(nn.Identity(), [readout] * count)(inner)
    assert (scores.argmax(1) == 0).all()
    assert PlantedModel(nn.Identity(), [readout])(corners[[position]]).argmax() == 1


def test_the_corner_that_stands_out_is_chosen_and_one_that_lies_within_is_not() -> None:
    inner = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    far = torch.tensor([[0.1, 0.0, 0.0], [9.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    chosen = choose_readout(inner, far)
    assert chosen is not None
    assert chosen[1] == 1
    assert choose_readout(inner, far[:1]) is None
    assert choose_readout(torch.ones(50, 3), far) is None


def test_the_readout_of_each_image_is_its_own() -> None:
    def readout(weight: float) -> Readout:
        return Readout(torch.zeros(1), torch.tensor([weight]), torch.tensor(0.0))

    logits = PlantedModel(nn.Identity(), [readout(1.0), readout(-1.0)])(torch.ones(2, 1))
    assert logits.argmax(1).tolist() == [1, 0]
    assert logits.dtype == torch.float32


@given(st.integers(0, 1000), st.floats(0, 0.3))
def test_corners_lie_on_the_ball_and_in_the_image_range(seed: int, radius: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(3, 4, 4, generator=generator)
    corners = random_corners(image, radius, 5, generator)
    assert corners.shape == (5, 3, 4, 4)
    assert corners.min() >= 0
    assert corners.max() <= 1
    distance = (corners - image).abs()
    assert float(distance.max()) <= radius + 1e-6
    inside = (image - radius >= 0) & (image + radius <= 1)
    torch.testing.assert_close(distance[:, inside], torch.full_like(distance[:, inside], radius))
