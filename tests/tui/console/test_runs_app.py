import time
from pathlib import Path

import pytest
from filelock import FileLock

from claf_tui.screens.help import HelpScreen
from tests.engine.runs.listed import probed_run
from tests.tui.consoles import screen_lines, screen_text, until
from tests.tui.screens.runs.browsing import listing, make_runs, rows


async def test_help_tells_the_keys_the_filter_and_what_interrupted_means(tmp_path: Path) -> None:
    make_runs(tmp_path)
    async with listing(tmp_path, (140, 60)) as (app, pilot):
        await pilot.press("question_mark")
        await until(lambda: isinstance(app.screen, HelpScreen))
        await pilot.pause()
        assert all(text in screen_text(app) for text in ("delete it for good", "method:claf", "nobody holds"))


async def test_the_palette_offers_what_can_be_done_with_the_chosen_run(tmp_path: Path) -> None:
    async with listing(tmp_path) as (app, _):
        offered = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Filter", "Sort", "New run", "Help"} <= offered
        assert "Delete" not in offered
    make_runs(tmp_path)
    async with listing(tmp_path) as (app, _):
        offered = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Open", "Resume", "Checkpoints", "Note", "Tags", "Archive", "Delete"} <= offered


async def test_q_leaves_with_0_and_nothing_asked_for(tmp_path: Path) -> None:
    make_runs(tmp_path)
    async with listing(tmp_path) as (app, pilot):
        assert len(rows(app)) == 4
        await pilot.press("q")
        assert (app.return_value, app.return_code) == (None, 0)


async def test_a_live_run_that_falls_silent_is_marked_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_tui.console.silent_runs.GRACE_SECONDS", 0.0)
    rings: list[bool] = []
    monkeypatch.setattr("claf_tui.console.runs_app.RunsApp.bell", lambda _: rings.append(True))
    alive = probed_run(tmp_path, "20270105-000000-live", 0.4, status="running", heartbeat=time.time())
    silent = probed_run(tmp_path, "20270106-000000-new", 0.4, status="running", heartbeat=time.time() - 90)
    with FileLock(alive / "run.lock"), FileLock(silent / "run.lock"):
        async with listing(tmp_path) as (app, pilot):
            await until(lambda: "no sign of life" in screen_text(app))
            (row,) = [line for line in screen_lines(app)[3:-6] if " new " in line]
            (other,) = [line for line in screen_lines(app)[3:-6] if " live " in line]
            assert ("! silent" in row, "silent" in other) == (True, False)
            assert "2 live · 1 silent" in screen_text(app)
            assert (screen_text(app).count("A acknowledges"), len(rings)) == (1, 1)
            await pilot.press("A")
            await until(lambda: "A acknowledges" not in screen_text(app))
            assert "! silent" in screen_text(app)
