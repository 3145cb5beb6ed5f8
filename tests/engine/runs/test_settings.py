import json
from pathlib import Path
from typing import Any

import pytest

from claf_engine.config.presets import DEFAULT_PRESET, preset_names, resolve_config
from claf_engine.runs import to_plain
from claf_engine.runs.settings import compare, preset_in, settings_of


def config(preset: str, *overrides: str) -> dict[str, Any]:
    return to_plain(resolve_config(preset, overrides=overrides))


def recorded(directory: Path, *command: str) -> Path:
    (directory / "run.json").write_text(json.dumps({"command": ["claf-tui", *command]}))
    return directory


@pytest.mark.parametrize("preset", preset_names())
def test_a_run_of_a_preset_differs_from_it_in_nothing(preset: str) -> None:
    assert compare(config(preset), preset).different == ()


def test_every_setting_that_was_changed_differs_and_no_other() -> None:
    compared = compare(config("smoke", "attack.steps=7", "model.blocks=[3]", "model.width=3"), "smoke")
    assert [(row.name, row.value) for row in compared.different] == [
        ("model.width", 3),
        ("model.blocks", [3]),
        ("attack.steps", 7),
    ]
    assert compared.different[-1].preset_value == resolve_config("smoke").attack.steps


def test_a_setting_that_was_unset_differs_too() -> None:
    (row,) = compare(config("smoke", "data.num_train=none"), "smoke").different
    assert (row.name, row.value) == ("data.num_train", None)
    assert row.preset_value is not None


@pytest.mark.parametrize(
    ("command", "preset"),
    [
        ("train --preset smoke --set seed=3", "smoke"),
        ("train --preset=paper", "paper"),
        ("train --config mine.toml --preset smoke", "smoke"),
        ("train --preset paper --preset=smoke", "smoke"),
        ("train --preset", None),
        ("train", DEFAULT_PRESET),
        ("train --set attack.steps=3", DEFAULT_PRESET),
        ("train --config mine.toml", None),
        ("train --config=mine.toml", None),
        ("train --resume latest --from 40", None),
        ("train --preset unknown", None),
        ("reproduce table1", None),
        ("", None),
    ],
)
def test_the_preset_is_the_one_that_the_command_names(command: str, preset: str | None) -> None:
    assert preset_in(command.split()) == preset


def test_the_preset_of_the_command_is_compared_with_although_another_is_nearer(tmp_path: Path) -> None:
    settings = settings_of(config("paper"), recorded(tmp_path, "train", "--preset", "smoke"))
    assert (settings.preset, settings.is_named) == ("smoke", True)
    assert settings.different


@pytest.mark.parametrize("text", [None, "", "[]", '{"command": 3}', '{"command": [3, null]}', "{" * 100_000])
def test_without_a_command_the_nearest_preset_is_compared_with(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    settings = settings_of(config("trades", "seed=5"), tmp_path)
    assert (settings.preset, settings.is_named) == ("trades", False)
    assert [row.name for row in settings.different] == ["seed"]


def test_a_setting_that_no_preset_knows_is_told(tmp_path: Path) -> None:
    plain = {**config("smoke"), "later": {"invention": True}}
    assert [row.name for row in settings_of(plain, tmp_path).different] == ["later.invention"]
