from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from claf_engine.config import DataConfig, ModelConfig
from claf_engine.config.presets import Override, resolve_config
from claf_engine.reproduce.plan import ReproductionRequest, config_of
from claf_engine.reproduce.scales import PRESETS, autoattacked, resolve_recipe, space_overrides
from claf_engine.reproduce.tables import TABLES
from claf_engine.runs import runs_root, to_plain
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import Method, RecipeName, ScaleName
from claf_engine.training.methods import METHODS

METHOD_OF: dict[RecipeName, Method] = {
    "natural": "natural",
    "scl": "scl",
    "at": "at",
    "trades": "trades",
    "rocl-at": "rocl",
    "claf": "claf",
    "robust": "fgsm",
}


@pytest.mark.parametrize("scale", ["paper", "gpu", "small", "tiny"])
@pytest.mark.parametrize("recipe", list(METHOD_OF))
def test_every_recipe_of_every_scale_trains_its_method(scale: ScaleName, recipe: RecipeName) -> None:
    config = resolve_recipe(scale, recipe)
    assert config.method == METHOD_OF[recipe]
    assert all(phase.epochs > 0 for phase in METHODS[config.method](config)[:1])


@pytest.mark.parametrize("recipe", list(METHOD_OF))
def test_the_paper_s_scale_is_the_packaged_preset(recipe: RecipeName) -> None:
    assert resolve_recipe("paper", recipe) == resolve_config(PRESETS[recipe], None)


def test_the_generator_of_the_smallest_scale_trains_before_its_classifier() -> None:
    config = resolve_recipe("tiny", "defense-gan")
    assert (config.method, config.data, config.model) == ("defense-gan", *_images_and_network("at"))
    assert config.defense_gan.optimizer.betas == (0.0, 0.9)


def _images_and_network(recipe: RecipeName) -> tuple[DataConfig, ModelConfig]:
    config = resolve_recipe("tiny", recipe)
    return config.data, config.model


@pytest.mark.parametrize("scale", ["gpu", "small", "tiny"])
def test_the_runs_of_a_small_scale_share_images_network_and_attack(scale: ScaleName) -> None:
    shared = [
        (config.data, config.model, config.attack) for config in (resolve_recipe(scale, name) for name in METHOD_OF)
    ]
    *papers, (data, model, attack) = shared
    assert all(item == shared[0] for item in papers)
    assert (data, model, attack.model_copy(update={"epsilon": shared[0][2].epsilon})) == shared[0], "of robust"


def test_values_on_top_win() -> None:
    assert resolve_recipe("tiny", "at", [Override("seed", 7)]).seed == 7


def test_a_recipe_may_build_on_a_preset_below_what_its_scale_has_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    sections = {"common": {"batch_size": 32}, "at": {"preset": "trades", "trades": {"beta": 2.0}}}
    monkeypatch.setattr("claf_engine.reproduce.scales.scale_sections", lambda _: sections)
    config = resolve_recipe("small", "at")
    assert (config.method, config.batch_size, config.trades.beta) == ("trades", 32, 2.0)
    assert config.attack == resolve_config("trades", None).attack


def test_a_scale_without_a_recipe_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_engine.reproduce.scales.scale_sections", lambda _: {"common": {}})
    with pytest.raises(ConfigError, match="scale small has no settings for recipe claf"):
        resolve_recipe("small", "claf")


def test_what_autoattack_is_tried_on_is_the_scale_s(tmp_path: Path) -> None:
    counts = {scale: autoattacked(scale) for scale in ("paper", "gpu", "small", "tiny")}
    assert counts == {"paper": 500, "gpu": 1000, "small": 500, "tiny": 20}
    request = ReproductionRequest("table1", tmp_path, "small")
    assert request.columns[-1].num_examples == 500
    assert replace(request, autoattack=7).columns[-1].num_examples == 7
    assert "AutoAttack" not in replace(request, autoattack=0).columns[-1].title


@pytest.mark.parametrize("recipe", list(METHOD_OF))
def test_pixel_space_changes_nothing(recipe: RecipeName) -> None:
    assert space_overrides("pixel", recipe) == []


@pytest.mark.parametrize("recipe", ["natural", "scl"])
def test_the_released_code_s_space_changes_nothing_where_nothing_is_attacked(recipe: RecipeName) -> None:
    assert space_overrides("released-code", recipe) == []


@pytest.mark.parametrize("recipe", ["at", "trades", "rocl-at", "claf", "robust"])
def test_the_released_codes_space_sets_attack_probe_evaluation_and_deviations(recipe: RecipeName) -> None:
    config = resolve_recipe("tiny", recipe, space_overrides("released-code", recipe))
    assert {config.attack.space, config.probe.space, config.evaluation.space} == {"released-code"}
    assert config.model.std == (0.2023, 0.1994, 0.2010)


@pytest.mark.parametrize(
    ("table", "row", "preset"),
    [
        ("table2", 0, "table2-natural-classifier"),
        ("table4", 1, "table4-adversarial-evaluation"),
        ("table5", 0, "table5-reinitialised"),
        ("table6", 1, "table6-continued"),
    ],
)
def test_a_row_of_an_ablation_is_the_preset_of_its_name(table: Any, row: int, preset: str) -> None:
    request = ReproductionRequest(table, runs_root())
    assert config_of(request, TABLES[table].rows[row], 0) == resolve_config(preset, None)


@pytest.mark.parametrize(("table", "changed"), [("table2", 0), ("table5", 0), ("table6", 1)])
@pytest.mark.parametrize("scale", ["paper", "gpu", "small", "tiny"])
def test_an_ablation_changes_one_setting_and_nothing_else(table: Any, changed: int, scale: ScaleName) -> None:
    request = ReproductionRequest(table, runs_root(), scale)
    rows = TABLES[table].rows
    ablated, own = (flat(to_plain(config_of(request, rows[index], 0))) for index in (changed, 1 - changed))
    [(key, value)] = rows[changed].changes
    assert {name for name in own if own[name] != ablated[name]} == {key}
    assert ablated[key] == value


def flat(plain: dict[str, Any]) -> dict[str, Any]:
    def items(values: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for name, value in values.items():
            if isinstance(value, dict):
                yield from items(value, f"{prefix}{name}.")
            else:
                yield prefix + name, value

    return dict(items(plain, ""))
