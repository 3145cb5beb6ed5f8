from pathlib import Path

import pytest

from claf_engine.config.presets import resolve_config
from claf_engine.runs.against_preset import against_preset
from claf_engine.runs.folder import to_plain
from claf_tui.screens.checkpoints.settings_dialog import settings_text, value_text
from tests.tui.consoles import screen_lines, screen_text, until
from tests.tui.hostile import EVERYTHING
from tests.tui.screens.browsing import browser
from tests.tui.screens.checkpoints.test_browser import SIZES
from tests.tui.scripted import write_checkpoint

CHANGED = to_plain(resolve_config("smoke", overrides=["attack.steps=3", "seed=7"]))


def lines(config: object, *command: str) -> list[str]:
    return settings_text(against_preset(config, command)).plain.splitlines()  # type: ignore[arg-type]


def test_what_differs_comes_first_with_the_value_of_the_preset() -> None:
    head, *rest = lines(CHANGED, "claf-tui", "train", "--preset", "smoke")
    assert head == "2 settings differ from preset smoke"
    assert any(line.split() == ["attack.steps", "3", "preset", "2"] for line in rest[:2])
    assert rest.index("all settings") == 3


def test_all_settings_stand_below_their_sections() -> None:
    shown = lines(CHANGED)
    section = shown.index("  attack")
    assert any(line.split() == ["steps", "3"] for line in shown[section:])


def test_settings_of_a_preset_differ_in_nothing() -> None:
    shown = lines(to_plain(resolve_config("demo")), "claf-tui", "train")
    assert shown[0] == "no setting differs from preset demo"


def test_without_a_command_the_nearest_preset_is_named_as_such() -> None:
    assert lines(CHANGED)[0] == "2 settings differ from the nearest preset, smoke"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "not set"), (True, "yes"), (False, "no"), ([1, 2], "1, 2"), (0.1, "0.1")]
)
def test_values_are_written_as_people_read_them(value: object, text: str) -> None:
    assert value_text(value) == text


def test_foreign_settings_are_cleaned() -> None:
    shown = lines({EVERYTHING: {EVERYTHING: EVERYTHING}, "odd": [EVERYTHING]})
    assert all(line.isprintable() for line in shown)


@pytest.mark.parametrize("size", SIZES)
async def test_i_shows_the_settings_of_the_checkpoint(tmp_path: Path, size: tuple[int, int]) -> None:
    write_checkpoint(tmp_path / "run", 100, extra={"claf.config": CHANGED})
    async with browser(tmp_path / "run", size) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("i")
        await until(lambda: "2 settings differ from the nearest preset, smoke" in screen_text(app))
        assert all(len(line) == size[0] for line in screen_lines(app))
        await pilot.press("pagedown", "i")
        await until(lambda: "settings differ" not in screen_text(app))


async def test_a_checkpoint_without_settings_shows_those_of_the_preset(run: Path) -> None:
    async with browser(run) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("i")
        await until(lambda: "not set" in screen_text(app))
