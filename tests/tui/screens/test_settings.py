from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.config.presets import resolve_config
from claf_engine.runs import to_plain
from claf_engine.runs.settings import compare
from claf_tui.screens.settings import SettingsScreen
from claf_tui.state.machine import MachineState
from tests.tui.consoles import SIZES, Held, console, screen_lines, screen_text, until
from tests.tui.goldens import assert_golden
from tests.tui.scripted import run_started
from tests.tui.scripted_two_days import noise
from tests.tui.staged import SIZES as SNAPSHOTS
from tests.tui.staged import staged
from tests.tui.widgets.test_machine_panel import SAMPLE

GOLDEN = Path(__file__).parent / "golden"
CHANGES = ("attack.steps=7", "batch_size=32", "probe.every_epochs=5")


@pytest.fixture
def held(tmp_path: Path) -> Held:
    (tmp_path / "run").mkdir()
    started = run_started(tmp_path / "run", config=to_plain(resolve_config("smoke", overrides=CHANGES)))
    return Held(started, ev.PhaseStarted(0, "contrastive", 0))


@pytest.mark.parametrize("size", SIZES)
async def test_settings_and_machine_fit_every_size(held: Held, size: tuple[int, int]) -> None:
    async with console(held, size) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("i")
        await until(lambda: "attack.steps" in screen_text(app) and "CPU" in screen_text(app))
        lines = screen_lines(app)
        assert all(len(line) == size[0] for line in lines)
        assert "escape back" in lines[-1]
        for part in ("preset smoke", "batch_size", "CPU", "memory", "process"):
            assert part in screen_text(app)
        for widget in app.screen.query("#settings-panel, #machine-panel, #keys"):
            assert app.screen.region.contains_region(widget.region)


async def test_all_settings_are_shown_on_demand(held: Held) -> None:
    async with console(held) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("i")
        await until(lambda: "attack.steps" in screen_text(app))
        assert "data.seed" not in screen_text(app)
        await pilot.press("a")
        await until(lambda: "data.seed" in screen_text(app))
        await pilot.press("end")
        await until(lambda: "settings that this method does not read are left out" in screen_text(app))
        assert "union." not in screen_text(app)
        await pilot.press("a")
        await until(lambda: "data.seed" not in screen_text(app))


async def test_a_setting_is_found_by_words_of_its_name(held: Held) -> None:
    async with console(held) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("i")
        await until(lambda: "attack.steps" in screen_text(app))
        await pilot.press("slash", *"l1 step/", "backspace")
        await until(lambda: "union.l1.step_size" in screen_text(app) and "attack.steps" not in screen_text(app))
        await pilot.press("enter", "a")
        await until(lambda: "only what differs" in screen_text(app))
        assert "attack.steps" not in screen_text(app), "the words stay, and so does what has them"
        await pilot.press("slash", "escape")
        await until(lambda: "data.seed" in screen_text(app))
        await pilot.press("escape")
        await until(lambda: app.screen is app.home)


@pytest.mark.parametrize("key", ["escape", "i"])
async def test_a_key_leads_back(held: Held, key: str) -> None:
    async with console(held) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("i")
        await until(lambda: isinstance(app.screen, SettingsScreen))
        await pilot.press(key)
        await until(lambda: app.screen is app.home)


async def test_an_edit_is_shown_with_the_next_look(held: Held) -> None:
    async with console(held) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("i")
        await until(lambda: isinstance(app.screen, SettingsScreen))
        app.state = replace(app.state, values={"learning_rate": 0.05})
        app.look_at_machine()
        await until(lambda: "0.05*" in screen_text(app))


@pytest.mark.parametrize("size", SNAPSHOTS)
async def test_settings_and_machine_look_as_recorded(size: tuple[int, int]) -> None:
    compared = compare(to_plain(resolve_config("smoke", overrides=CHANGES)), "smoke")
    looks = tuple(replace(SAMPLE, load=0.5 + 0.4 * noise(number)) for number in range(60))
    screen = SettingsScreen(compared, {"learning_rate": 0.05}, MachineState(looks))
    async with staged(screen, size) as (app, _):
        assert_golden(app, GOLDEN / f"settings_{size[0]}x{size[1]}.txt")
