"""What tests of the list of runs share: a folder of runs, and the list around it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from claf_engine.events.control import Control
from claf_engine.runs.catalogue import Catalogue
from claf_tui.console.runs_app import RunsApp
from claf_tui.console.runs_feed import RunsFeed
from claf_tui.screens.runs.requests import RunsView
from tests.engine.runs.listed import probed_run
from tests.tui.consoles import HANG, screen_lines, until


def make_runs(root: Path) -> None:
    """Four runs; of the one that says it is running the process is gone."""
    of = {"method": "claf", "data": "shapes", "step": 300, "run_fraction": 0.5}
    probed_run(root, "20270101-000000-old", 0.2, status="finished", **of)
    probed_run(root, "20270102-000000-best", 0.2, 0.5, status="stopped", **of)
    probed_run(root, "20270103-000000-other", 0.3, status="failed", reason="the disk is full", **{**of, "method": "at"})
    probed_run(root, "20270104-000000-cut", 0.4, status="running", **of)


@asynccontextmanager
async def listing(
    root: Path, size: tuple[int, int] = (140, 45), view: RunsView | None = None
) -> AsyncIterator[tuple[RunsApp, Pilot[object]]]:
    """The list of the runs in a folder, once all were read."""
    app = RunsApp(RunsFeed(Catalogue(root, None)), Control(), root=root, view=view)
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(lambda: app.is_at_rest)
            await pilot.pause()
            yield app, pilot  # type: ignore[misc]
    finally:
        app.control.stop()
        await asyncio.to_thread(app.thread.join, HANG)


def rows(app: RunsApp) -> list[str]:
    """The names of the runs on the screen, from above."""
    names = ("old", "best", "other", "cut", "new", "live")
    lines = [line.split() for line in screen_lines(app)[1:-6]]
    return [next(name for name in names if name in line) for line in lines if set(names) & set(line)]
