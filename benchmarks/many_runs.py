"""Question 14: does the list of runs answer at once when there are 10,000 of them?

Folders of runs are made below the temporary folder, and the list is shown in the console without a terminal, as
`claf-tui` alone shows it: once when nothing is remembered of them, and once more when it is. Timed are, by the clock
and by the processor (which does not count what other programs take): from the making of the console to the first rows
and to all rows, the keys of a filter from the press to the screen drawn, without what the terminal takes, the share of
a core that the list takes when nobody does anything, and how soon a run of a million logged steps shows its dashboard;
and on a pseudo-terminal from the start of the program to the first rows, the median of the repetitions.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from benchmarks.charts import write_run
from benchmarks.common import parser, show, write
from benchmarks.made_runs import make_runs
from benchmarks.terminals import Terminal, environment_in
from claf_engine.events.control import Control
from claf_engine.runs.catalogue import Catalogue
from claf_tui.console.follower import Follower
from claf_tui.console.opened_run import OpenedRun
from claf_tui.console.runs_app import RunsApp
from claf_tui.console.runs_feed import RunsFeed
from claf_tui.screens.runs.runs_screen import RunsScreen
from claf_tui.widgets.run_table import RunTable

NUM_RUNS, NUM_STEPS = 10_000, 1_000_000
SIZE = (140, 45)
FILTER = "method:claf robust>40 !tag:old"
BEGIN = "/"
KEYS = {BEGIN: "slash", " ": "space"}
IDLE_SECONDS = 10.0
WAIT_SECONDS = 600.0
SHELL = "first rows, from the start of the program"
FIRST, AGAIN, KEY, OPENED = "first rows, nothing remembered", "first rows", "filter key, p95", "a long run opens"
BARS = {SHELL: 1.0, FIRST: 1.0, AGAIN: 1.0, KEY: 0.1, OPENED: 1.0}
IDLE_SHARE = 0.01


@dataclass(frozen=True)
class Took:
    """Seconds of the clock, and of the processor."""

    clock: float
    cpu: float


class Watch:
    """Counts both from when it was made."""

    def __init__(self) -> None:
        self._clock, self._cpu = time.perf_counter(), time.process_time()

    def took(self) -> Took:
        """What passed since then."""
        return Took(time.perf_counter() - self._clock, time.process_time() - self._cpu)

    def require_patience(self) -> None:
        """Give up on what does not come.

        Raises:
            TimeoutError: `WAIT_SECONDS` have passed.
        """
        if time.perf_counter() - self._clock > WAIT_SECONDS:
            raise TimeoutError("the console does not get there")


@dataclass(frozen=True)
class Listed:
    """How long the list took: to its first rows, to all of them, for each key of the filter; and in idle seconds."""

    first: Took
    whole: Took
    keys: tuple[Took, ...]
    idle: Took


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
        new = asyncio.run(listed(root, index, 0.0))
        again = asyncio.run(listed(root, index, arguments.idle))
        started = [from_the_shell(Path(folder)) for _ in range(arguments.repeats)]
        long = Path(folder) / "20260101-000000-long"
        write_run(long, arguments.steps)
        opened = asyncio.run(opening(long))
    told = {FIRST: new.first, "all rows, nothing remembered": new.whole, AGAIN: again.first, "all rows": again.whole}
    told |= {KEY: _percentile(again.keys, 0.95), OPENED: opened}
    shell = statistics.median(started)
    rows = [[name, _ms(took.clock), _ms(took.cpu), _verdict(name, took.clock)] for name, took in told.items()]
    rows.append([SHELL, _ms(shell), "", _verdict(SHELL, shell)])
    share = again.idle.cpu / max(again.idle.clock, 1e-9)
    rows.append(["idle", "", f"{100 * share:.2f} % of a core", "met" if share <= IDLE_SHARE else "missed"])
    title = f"{arguments.runs:,} runs, {SIZE[0]}x{SIZE[1]}; one of {arguments.steps:,} steps"
    show(title, ("what", "clock", "processor", "bar"), rows, "cpu")
    seconds = {name: asdict(took) for name, took in told.items()}
    told_too = {"runs": arguments.runs, "steps": arguments.steps, "idle_share": share, SHELL: started}
    write(arguments.json, {**told_too, **seconds}, "cpu")


def _percentile(took: Sequence[Took], share: float) -> Took:
    place = min(len(took) - 1, round(share * (len(took) - 1)))
    return Took(sorted(one.clock for one in took)[place], sorted(one.cpu for one in took)[place])


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms"


def _verdict(name: str, seconds: float) -> str:
    return "" if name not in BARS else "met" if seconds <= BARS[name] else "missed"


def from_the_shell(folder: Path) -> float:
    """Seconds from the start of `claf-tui`, on a terminal, to the name of a run of the `runs` in a folder."""
    with Terminal([sys.executable, "-m", "claf_tui"], environment_in(folder)) as terminal:
        return terminal.arrival_of(b"-seed", WAIT_SECONDS) - terminal.began


async def listed(root: Path, index: Path, idle_seconds: float) -> Listed:
    """Show the list, type the filter where there is time to be idle, and be idle."""
    watch = Watch()
    app = RunsApp(RunsFeed(Catalogue(root, index)), Control(), root=root)
    async with app.run_test(size=SIZE) as pilot:
        rows = app.screen.query_one(RunTable)
        await _until(pilot, lambda: bool(rows.seen))
        first = watch.took()
        await _until(pilot, lambda: app.is_at_rest)
        whole = watch.took()
        keys = [await _press(app, character) for character in (BEGIN, *FILTER)] if idle_seconds else []
        idle = Watch()
        await asyncio.sleep(idle_seconds)
        resting = idle.took()
        app.control.stop()
        await asyncio.to_thread(app.thread.join, WAIT_SECONDS)
    return Listed(first, whole, tuple(keys), resting)


async def _press(app: RunsApp, character: str) -> Took:
    """From a key to the drawn screen. Not by `Pilot.press`: it sleeps in steps of 20 ms until the process is idle."""
    screen = app.screen
    assert isinstance(screen, RunsScreen)
    field = screen.query_one("#runs-filter", Input)
    text = "" if character == BEGIN else field.value + character
    drawn = asyncio.Event()
    watch = Watch()
    app.post_message(events.Key(KEYS.get(character, character), character))
    while screen.view.filter_text != text or screen.focused is not field:
        await asyncio.sleep(0.001)
        watch.require_patience()
    screen.call_after_refresh(drawn.set)
    await drawn.wait()
    screen._compositor.render_strips()
    return watch.took()


async def opening(directory: Path) -> Took:
    """How soon the dashboard of a run shows which run it is, with its progress or its curves."""
    watch = Watch()
    app = OpenedRun(Follower(directory), Control(), read_only=True)
    async with app.run_test(size=SIZE) as pilot:
        await _until(pilot, lambda: app.state.run is not None)
        app.screen._compositor.render_strips()
        took = watch.took()
        app.control.stop()
        await asyncio.to_thread(app.thread.join, WAIT_SECONDS)
    return took


async def _until(pilot: Pilot[Any], claim: Callable[[], bool]) -> None:
    """Wait until a claim holds."""
    watch = Watch()
    while not claim():
        watch.require_patience()
        await pilot.pause(0.005)


if __name__ == "__main__":
    main()
