import pytest

from claf_engine.config.presets import preset_names, resolve_config
from claf_engine.runs.against_preset import against_preset, told_preset
from claf_engine.runs.folder import to_plain


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_differs_from_itself_in_nothing(name: str) -> None:
    assert against_preset(to_plain(resolve_config(name)), ["train", "--preset", name]).changes == ()


def test_what_was_changed_differs() -> None:
    plain = to_plain(resolve_config("smoke", overrides=["attack.steps=3"]))
    (change,) = against_preset(plain, ["train", "--preset", "smoke"]).changes
    assert (change.key, change.value, change.preset_value) == ("attack.steps", 3, 2)


def test_a_setting_that_only_one_side_has_differs() -> None:
    plain = to_plain(resolve_config("smoke"))
    del plain["seed"]
    keys = {
        change.key: change.value for change in against_preset({**plain, "new": 1}, ["train", "--preset=smoke"]).changes
    }
    assert keys == {"seed": None, "new": 1}


@pytest.mark.parametrize(
    ("command", "preset"),
    [
        (["claf-tui", "train", "--preset", "smoke"], "smoke"),
        (["claf-tui", "train", "--preset=smoke"], "smoke"),
        (["claf-tui", "train"], "demo"),
        (["claf-tui", "train", "--set", "seed=1"], "demo"),
        (["claf-tui", "train", "--config", "mine.toml"], None),
        (["claf-tui", "train", "--resume", "latest"], None),
        (["claf-tui", "train", "--preset", "gone"], None),
        (["claf-tui", "train", "--preset"], None),
        ([], None),
        ([7, None], None),
    ],
)
def test_the_command_tells_the_preset(command: list[object], preset: str | None) -> None:
    assert told_preset(command) == preset


def test_without_a_command_the_preset_that_differs_least_is_taken() -> None:
    compared = against_preset(to_plain(resolve_config("trades", overrides=["seed=9"])))
    assert (compared.preset, compared.is_told) == ("trades", False)
    assert [change.key for change in compared.changes] == ["seed"]


def test_foreign_settings_are_compared_all_the_same() -> None:
    assert against_preset({}).preset in preset_names()
    assert against_preset({"a": {"b": [1]}}).changes
