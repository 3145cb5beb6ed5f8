import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_tui.console.audit_app import AuditApp
from claf_tui.console.browser_app import BrowserApp
from claf_tui.console.palette import PaletteApp
from claf_tui.console.reproduce_app import ReproductionApp
from claf_tui.screens.help import HelpScreen
from tests.tui.consoles import Held, console, finished_run, screen_text, until
from tests.tui.scripted import run_started, write_checkpoint
from tests.tui.scripted_audit import Audit
from tests.tui.scripted_reproduction import Reproduction

STEERING = {"Pause", "Probe now", "Checkpoint now", "Edit live values", "Stop"}


def offered(app: App[object]) -> set[str]:
    return {command.title for command in app.get_system_commands(app.screen)}


@pytest.fixture
def held(tmp_path: Path) -> Held:
    (tmp_path / "run").mkdir()
    return Held(run_started(tmp_path / "run"), ev.PhaseStarted(0, "contrastive", 0))


async def test_a_live_run_is_steered_from_the_palette(held: Held) -> None:
    async with console(held) as (app, _):
        await until(lambda: app.state.run)
        assert offered(app) >= {*STEERING, "Browse checkpoints", "Help", "Screenshot", "Theme", "Quit"}


async def test_the_palette_of_a_paused_run_offers_to_go_on(held: Held) -> None:
    async with console(held) as (app, _):
        await until(lambda: app.state.run)
        app.control.pause()
        assert "Pause" not in offered(app)
        assert "Go on" in offered(app)


async def test_whoever_only_watches_is_not_offered_to_steer(held: Held) -> None:
    async with console(held, read_only=True) as (app, _):
        await until(lambda: app.state.run)
        assert not offered(app) & STEERING
        assert "Browse checkpoints" in offered(app)


async def test_a_run_that_has_ended_is_not_steered_any_more(tmp_path: Path) -> None:
    async with console(finished_run(tmp_path)) as (app, _):
        await until(lambda: app.state.finished)
        assert not offered(app) & STEERING


async def test_a_run_that_stops_is_not_steered_any_more(held: Held) -> None:
    held.saves = False
    async with console(held) as (app, _):
        await until(lambda: app.state.run)
        app.control.stop()
        assert not offered(app) & STEERING
        held.saves = True
        held.deadline = 0.0


async def test_before_a_run_has_a_folder_its_checkpoints_are_not_offered() -> None:
    async with console(Held()) as (app, _):
        assert "Browse checkpoints" not in offered(app)


async def test_there_is_one_help_only(held: Held) -> None:
    async with console(held) as (app, pilot):
        assert "Keys" not in offered(app)
        await pilot.press("?")
        await until(lambda: isinstance(app.screen, HelpScreen))
        assert "Help" not in offered(app)


async def test_what_steers_the_dashboard_is_not_offered_above_another_screen(held: Held) -> None:
    async with console(held) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("?")
        await until(lambda: isinstance(app.screen, HelpScreen))
        assert not offered(app) & {*STEERING, "Logarithmic loss axis", "Browse checkpoints"}


@asynccontextmanager
async def shown(app: PaletteApp) -> AsyncIterator[Pilot[object]]:
    async with app.run_test(size=(140, 45), notifications=True) as pilot:
        yield pilot  # type: ignore[misc]


async def test_the_card_of_an_audit_is_offered_once_it_is_there() -> None:
    app = AuditApp(Audit(is_held=True), Control())
    async with shown(app):
        await until(lambda: app.scene.found)
        assert {"Pause", "Next alarm"} <= offered(app)
        assert "Robustness card" not in offered(app)
        app.control.stop()
    ended = AuditApp(Audit(), Control())
    async with shown(ended):
        await until(lambda: ended.scene.card is not None and ended.has_ended)
        assert "Robustness card" in offered(ended)
        assert "Pause" not in offered(ended)


async def test_a_reproduction_that_has_ended_is_not_steered_any_more(tmp_path: Path) -> None:
    app = ReproductionApp(Reproduction(tmp_path), Control())
    async with shown(app):
        await until(lambda: app.has_ended)
        assert not offered(app) & STEERING
        assert {"Dashboard of the current run", "Browse checkpoints"} <= offered(app)


async def test_the_browser_offers_what_every_console_does(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 5)
    app = BrowserApp(tmp_path)
    async with shown(app):
        await until(lambda: "stage1" in screen_text(app))
        assert {"Help", "Screenshot", "Theme", "Quit"} <= offered(app)
        assert "Keys" not in offered(app)


def pictures(folder: Path) -> list[Path]:
    return list((folder / "screenshots").glob("*.svg"))


async def test_a_picture_of_the_screen_is_chosen_in_the_palette_and_shows_no_palette(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "no-home"))
    async with console(held) as (app, pilot):
        await until(lambda: "RUNNING" in screen_text(app))
        await pilot.press("ctrl+p", *"screenshot")
        await until(lambda: "save the screen as SVG" in screen_text(app))
        await pilot.press("down", "enter")
        await until(lambda: pictures(tmp_path / "run"))
        await until(lambda: "screenshot: " in screen_text(app))
    drawn = pictures(tmp_path / "run")[0].read_text()
    assert "RUNNING" in drawn
    assert "save&#160;the&#160;screen" not in drawn


async def test_that_a_picture_cannot_be_saved_is_one_sentence_with_the_way_out(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Path:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("claf_tui.console.palette.save_picture", refuse)
    async with console(held) as (app, _):
        app.take_picture()
        await until(lambda: "cannot save a screenshot in" in screen_text(app))
        assert "start claf-tui in a folder of yours" in " ".join(screen_text(app).split())
