import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from claf_engine.events.control import Control
from claf_tui.console.opened_run import OpenedRun
from tests.tui.consoles import HANG, finished_run, screen_text, until


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[OpenedRun, Pilot[object]]]:
    app = OpenedRun(finished_run(folder), Control(), read_only=True)
    try:
        async with app.run_test(size=(140, 45), notifications=True) as pilot:
            await until(lambda: app.state.run is not None)
            yield app, pilot  # type: ignore[misc]
    finally:
        app.control.stop()
        await asyncio.to_thread(app.thread.join, HANG)


async def test_escape_takes_the_zoom_back_and_then_leads_back_to_the_list(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, pilot):
        await until(lambda: "esc runs" in screen_text(app))
        await pilot.press("f", "escape")
        assert app.return_code is None
        await pilot.press("escape")
        await until(lambda: app.return_code == 0)
