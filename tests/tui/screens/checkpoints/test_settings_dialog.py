from pathlib import Path

import pytest

from claf_engine.config.presets import resolve_config
from claf_engine.runs.folder import to_plain
from tests.tui.consoles import screen_lines, screen_text, until
from tests.tui.hostile import EVERYTHING
from tests.tui.screens.browsing import browser
from tests.tui.screens.checkpoints.test_browser import SIZES
from tests.tui.scripted import write_checkpoint

CHANGED = to_plain(resolve_config("smoke", overrides=["attack.steps=3", "seed=7"]))


@pytest.mark.parametrize("size", SIZES)
async def test_i_shows_in_which_settings_the_checkpoint_differs_and_a_shows_all(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    write_checkpoint(tmp_path / "run", 100, extra={"claf.config": CHANGED})
    async with browser(tmp_path / "run", size) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("i")
        await until(lambda: "settings differ from preset smoke, the nearest one" in screen_text(app))
        assert "attack.steps" in screen_text(app)
        assert "data.source" not in screen_text(app)
        assert all(len(line) == size[0] for line in screen_lines(app))
        await pilot.press("a")
        await until(lambda: "data.source" in screen_text(app))
        await pilot.press("pagedown", "i")
        await until(lambda: "settings of step" not in screen_text(app))


async def test_a_checkpoint_without_settings_and_one_with_foreign_ones_show_clean_lines(tmp_path: Path) -> None:
    for step, config in ((100, None), (200, {EVERYTHING: {EVERYTHING: EVERYTHING}})):
        directory = tmp_path / f"run-{step}"
        write_checkpoint(directory, step, extra={} if config is None else {"claf.config": config})
        async with browser(directory) as (app, pilot):
            await until(lambda: "8 tensors" in screen_text(app))
            await pilot.press("i")
            await until(lambda: "differ from" in screen_text(app))
            assert all(line.isprintable() for line in screen_lines(app))
