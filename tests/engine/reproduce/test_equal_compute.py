import random

import pytest

from claf_engine.config.presets import Override
from claf_engine.reproduce.equal_compute import Share, epochs_within, equal_epochs
from claf_engine.reproduce.scales import budget_of, resolve_recipe
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import RecipeName, ScaleName
from claf_engine.training.methods import phases_of, units_per_image

RECIPES: tuple[RecipeName, ...] = ("natural", "scl", "at", "trades", "rocl-at", "claf", "robust")


@pytest.mark.parametrize(
    ("recipe", "epochs"),
    [
        ("natural", {"supervised.epochs": 106}),
        ("scl", {"contrastive.epochs": 53}),
        ("at", {"supervised.epochs": 35}),
        ("trades", {"supervised.epochs": 24}),
        ("rocl-at", {"rocl.epochs": 13, "supervised.epochs": 12}),
        ("claf", {"contrastive.epochs": 5, "adversarial.epochs": 11}),
    ],
)
def test_the_epochs_of_every_recipe_at_scale_small(recipe: RecipeName, epochs: dict[str, int]) -> None:
    assert {item.key: item.value for item in equal_epochs(resolve_recipe("small", recipe), 320)} == epochs


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("scale", ["gpu", "small", "tiny"])
def test_a_run_costs_at_most_the_budget_and_less_than_an_epoch_of_its_cheapest_phase_below(
    scale: ScaleName, recipe: RecipeName
) -> None:
    budget = budget_of(scale)
    config = resolve_recipe(scale, recipe, equal_epochs(resolve_recipe(scale, recipe), budget))
    cheapest = min(phase.units_per_epoch for phase in phases_of(config) if not phase.is_frozen)
    assert 0 <= budget - units_per_image(config) < cheapest


def test_whatever_the_phases_a_budget_is_kept_and_used() -> None:
    draw = random.Random(0)
    for _ in range(500):
        shares = [Share(draw.randint(1, 60), draw.uniform(0.5, 140)) for _ in range(draw.randint(1, 3))]
        units = [share.units for share in shares]
        budget = sum(units) * draw.uniform(1, 30)
        epochs = epochs_within(budget, shares)
        cost = sum(number * each for number, each in zip(epochs, units, strict=True))
        assert min(epochs) >= 1
        assert -1e-6 * budget <= budget - cost < min(units)


def test_a_recipe_whose_own_cost_is_the_budget_keeps_its_epochs() -> None:
    config = resolve_recipe("small", "claf")
    assert [item.value for item in equal_epochs(config, units_per_image(config))] == [5, 14]


def test_what_is_fitted_on_a_frozen_encoder_keeps_its_epochs_and_counts() -> None:
    config = resolve_recipe("small", "scl")
    more_head = resolve_recipe("small", "scl", [Override("linear_evaluation.epochs", 3000)])
    assert [item.key for item in equal_epochs(more_head, 320)] == ["contrastive.epochs"]
    assert equal_epochs(more_head, 320)[0].value == equal_epochs(config, 320)[0].value - 10


def test_a_budget_that_buys_no_epoch_of_each_phase_is_refused() -> None:
    with pytest.raises(ConfigError, match="one epoch of each phase costs 28 units an image, and 27.4 are left"):
        equal_epochs(resolve_recipe("small", "claf"), 70)


def test_the_paper_s_scale_has_no_budget() -> None:
    with pytest.raises(ConfigError, match="--compute equal is for --scale gpu, small and tiny"):
        budget_of("paper")
