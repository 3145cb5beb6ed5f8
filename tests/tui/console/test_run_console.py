import json
import os
import socket
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.config import RunConfig
from claf_engine.runs import create_run, to_plain
from claf_tui.console.follower import Follower
from claf_tui.screens.settings import SettingsScreen
from tests.tui.console.test_follower import write
from tests.tui.console.test_palette import offered
from tests.tui.consoles import Held, console, screen_text, text_in, until
from tests.tui.scripted import run_started


async def test_before_a_run_has_begun_there_are_no_settings() -> None:
    async with console(Held()) as (app, pilot):
        assert "Settings and machine" not in offered(app)
        await pilot.press("i")
        await until(lambda: "no run has begun yet" in screen_text(app))


async def test_the_settings_are_in_the_palette_until_they_are_shown(tmp_path: Path) -> None:
    async with console(Held(run_started(tmp_path))) as (app, _):
        await until(lambda: app.state.run)
        assert "Settings and machine" in offered(app)
        app.action_settings()
        await until(lambda: isinstance(app.screen, SettingsScreen))
        assert "Settings and machine" not in offered(app)


@pytest.mark.parametrize("is_here", [True, False])
async def test_whoever_watches_is_told_whose_machine_it_is(tmp_path: Path, is_here: bool) -> None:
    run = create_run(tmp_path, "demo", RunConfig(), ["claf-tui", "train", "--preset", "smoke"])
    try:
        write(run.path, run_started(run.path, config=to_plain(RunConfig())), ev.PhaseStarted(0, "contrastive", 0))
        if not is_here:
            (run.path / "holder.json").write_text(json.dumps({"pid": os.getpid(), "host": "elsewhere"}))
        async with console(Follower(run.path, poll_seconds=0.01), read_only=True) as (app, pilot):
            await until(lambda: app.state.run)
            await pilot.press("i")
            await until(lambda: isinstance(app.screen, SettingsScreen))
            await until(lambda: "cores busy" in screen_text(app))
            text = text_in(app, "#machine")
            assert ("the run belongs to elsewhere" in text) is not is_here
            assert (f"loads of {socket.gethostname()}" in text) is not is_here
            assert "from preset smoke" in text_in(app, "#settings")
    finally:
        run.close()
