"""Question 14: does the list of runs answer at once when there are 10,000 of them?

Folders of runs are made below the temporary folder, and the list is shown in the console without a terminal, as
`claf-tui` alone shows it: once when nothing is remembered of them, and once more when it is. Timed are: from the start of
the console to the first rows and to all rows, the keys of a filter from the press to the last line of the screen drawn
(without what the terminal takes), the share of a core that the list takes when nobody does anything, and how soon a run
of a million logged steps shows its dashboard.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from textual.pilot import Pilot

from benchmarks.charts import write_run
from benchmarks.common import parser, show, write
from benchmarks.made_runs import make_runs
from claf_engine.events.control import Control
from claf_engine.runs.catalogue import Catalogue
from claf_tui.console.follower import Follower
from claf_tui.console.opened_run import OpenedRun
from claf_tui.console.runs_app import RunsApp
from claf_tui.console.runs_feed import RunsFeed
from claf_tui.widgets.run_list import RunList

NUM_RUNS, NUM_STEPS = 10_000, 1_000_000
SIZE = (140, 45)
FILTER = "method:claf robust>40 !tag:old"
IDLE_SECONDS = 10.0
WAIT_SECONDS = 600.0
BARS = {"first rows": 1.0, "first rows, remembered": 1.0, "filter key, p95": 0.1, "a long run opens": 1.0, "idle": 0.01}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table and write the JSON file."""
    made = parser(__doc__)
    made.add_argument("--runs", type=int, default=NUM_RUNS, help=f"folders of runs (default {NUM_RUNS:,})")
    made.add_argument("--steps", type=int, default=NUM_STEPS, help=f"steps of the long run (default {NUM_STEPS:,})")
    made.add_argument("--idle", type=float, default=IDLE_SECONDS, help=f"idle seconds (default {IDLE_SECONDS:g})")
    arguments = made.parse_args(argv)
    with TemporaryDirectory() as folder:
        root, index = Path(folder) / "runs", Path(folder) / "index.sqlite"
        make_runs(root, arguments.runs)
        first, all_rows, _, _ = asyncio.run(_list(root, index, 0.0))
        again, all_again, keys, idle = asyncio.run(_list(root, index, arguments.idle))
        long = Path(folder) / "20260101-000000-long"
        write_run(long, arguments.steps)
        opened, whole = asyncio.run(_open(long))
    worst = sorted(keys)[min(len(keys) - 1, round(0.95 * (len(keys) - 1)))]
    told = {
        "first rows": first,
        "all rows": all_rows,
        "first rows, remembered": again,
        "all rows, remembered": all_again,
        "filter key, p95": worst,
        "idle": idle,
        "a long run opens": opened,
        "all of it is drawn": whole,
    }
    rows = [[name, _written(name, value), _verdict(name, value)] for name, value in told.items()]
    show(f"{arguments.runs:,} runs, {SIZE[0]}x{SIZE[1]}", ("what", "measured", "bar"), rows, "cpu")
    write(arguments.json, {"runs": arguments.runs, "steps": arguments.steps, **told}, "cpu")


def _written(name: str, value: float) -> str:
    return f"{100 * value:.1f} % of a core" if name == "idle" else f"{1000 * value:,.0f} ms"


def _verdict(name: str, value: float) -> str:
    return "" if name not in BARS else "met" if value <= BARS[name] else "missed"


async def _list(root: Path, index: Path, idle_seconds: float) -> tuple[float, float, list[float], float]:
    """Seconds until the first rows and until all were read; of each key of the filter; the share of a core when idle."""
    began = time.perf_counter()
    app = RunsApp(RunsFeed(Catalogue(root, index)), Control(), root=root)
    async with app.run_test(size=SIZE) as pilot:
        rows = app.screen.query_one(RunList)
        await _until(pilot, lambda: rows.seen)
        first = time.perf_counter() - began
        await _until(pilot, lambda: app.is_at_rest)
        whole = time.perf_counter() - began
        keys = [await _press(app, pilot, key) for key in ("/", *FILTER)] if idle_seconds else []
        idle = await _idle(idle_seconds)
        app.control.stop()
        await asyncio.to_thread(app.thread.join, WAIT_SECONDS)
    return first, whole, keys, idle


async def _press(app: RunsApp, pilot: Pilot[object], key: str) -> float:
    """Seconds from a key to the last line of the screen that it changes."""
    began = time.perf_counter()
    await pilot.press({" ": "space"}.get(key, key))
    await pilot.pause()
    app.screen._compositor.render_strips()
    return time.perf_counter() - began


async def _idle(seconds: float) -> float:
    if not seconds:
        return 0.0
    began, used = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - used) / (time.perf_counter() - began)


async def _open(directory: Path) -> tuple[float, float]:
    """Seconds until the dashboard of a run shows which run it is, and until its curves are whole."""
    began = time.perf_counter()
    app = OpenedRun(Follower(directory), Control(), read_only=True)
    async with app.run_test(size=SIZE) as pilot:
        await _until(pilot, lambda: app.state.run is not None)
        opened = time.perf_counter() - began
        await _until(pilot, lambda: app.state.finished is not None or len(app.state.losses) > 0)
        whole = time.perf_counter() - began
        app.control.stop()
        await asyncio.to_thread(app.thread.join, WAIT_SECONDS)
    return opened, whole


async def _until(pilot: Pilot[object], claim: object) -> None:
    """Wait until a claim holds.

    Raises:
        TimeoutError: it does not.
    """
    assert callable(claim)
    deadline = time.monotonic() + WAIT_SECONDS
    while not claim():
        if time.monotonic() > deadline:
            raise TimeoutError("the console does not get there")
        await pilot.pause(0.005)


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "140")
    main()
