"""Question 11: do charts answer at once when a run has 200,000 logged steps?

A journal of so many steps is opened in the console as by `claf-tui watch`, without a terminal. Timed are: opening it,
from the start of the console to the first chart with points; re-reading all steps for the first zoom, which happens in
a thread while the gathered curve is shown; and then every key: from the press to the last line of the screen drawn,
without what the terminal takes. Keys zoom, pan, move the cursor, and change axis and smoothing, in a fixed order.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import parser, show, write
from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.runs.journal import Journal
from claf_tui.console.base import set_loaded_aside
from claf_tui.console.follower import Follower
from claf_tui.console.train_app import TrainingApp
from claf_tui.screens.dashboard import Dashboard
from claf_tui.widgets.chart import Chart

NUM_STEPS, NUM_KEYS = 200_000, 300
BAR_SECONDS = 0.1
SIZE = (140, 45)
NUM_PROBES = 100
WAIT_SECONDS, POLL_SECONDS = 300.0, 0.005
PLAN = ev.PhasePlan("supervised", "adversarial training", NUM_PROBES, NUM_STEPS)
ACTIONS: dict[str, Callable[[Dashboard], None]] = {
    "zoom in": lambda board: board.action_zoom(1),
    "zoom out": lambda board: board.action_zoom(-1),
    "pan": lambda board: board.action_pan(-1),
    "cursor": lambda board: board.action_cursor(-3),
    "axis": lambda board: board.action_x_axis(),
    "smooth": lambda board: board.action_smooth(1),
    "log axis": lambda board: board.action_x_log(),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table and write the JSON file."""
    made = parser(__doc__)
    made.add_argument("--steps", type=int, default=NUM_STEPS, help=f"logged steps of the run (default {NUM_STEPS:,})")
    made.add_argument("--keys", type=int, default=NUM_KEYS, help=f"keys that are timed (default {NUM_KEYS})")
    arguments = made.parse_args(argv)
    with TemporaryDirectory() as folder:
        directory = Path(folder) / "20260101-000000-long"
        write_run(directory, arguments.steps)
        opened, read, keys = asyncio.run(_measure(directory, arguments.steps, arguments.keys))
    seconds = sorted(second for _, second in keys)
    worst = seconds[min(len(seconds) - 1, round(0.99 * (len(seconds) - 1)))]
    rows = [["opening", f"{opened:.2f} s", ""], ["re-reading every step, in a thread", f"{read:.2f} s", ""]]
    for name in ACTIONS:
        of_name = [second for key, second in keys if key == name]
        if of_name:
            rows.append([name, f"{1000 * statistics.median(of_name):.0f} ms", f"{1000 * max(of_name):.0f} ms"])
    rows.append(["all keys, p99", f"{1000 * worst:.0f} ms", "met" if worst <= BAR_SECONDS else "missed"])
    show(f"Charts of {arguments.steps:,} steps, {SIZE[0]}x{SIZE[1]}", ("what", "median", "largest"), rows, "cpu")
    write(
        arguments.json,
        {"open_seconds": opened, "read_seconds": read, "key_p99_seconds": worst, "keys": len(keys)},
        "cpu",
    )


def write_run(directory: Path, num_steps: int) -> None:
    """Write the journal of a run of so many logged steps, with a falling loss, noise and probes."""
    directory.mkdir()
    noise = random.Random(0)
    journal = Journal(directory)
    journal.open()
    journal.append(started(directory, num_steps))
    journal.append(ev.PhaseStarted(0, PLAN.name, 0))
    every = max(1, num_steps // NUM_PROBES)
    for step in range(1, num_steps + 1):
        loss = 2 + 3 / (1 + step / 20_000) + noise.gauss(0, 0.1)
        epoch = 1 + step // every
        journal.append(ev.StepLogged(step, 0, epoch, "supervised", "cross_entropy", loss, 0.1, 90.0, float(step)))
        if step % every == 0:
            figure = ev.RobustFigure("8/255", 0.4 + noise.gauss(0, 0.02), "pgd", 10, "2/255", 1, 500)
            journal.append(ev.EpochFinished(step, 0, epoch, 1.0, loss))
            journal.append(ev.ProbeFinished(step, 0, epoch, "adversarial", 0.8, (figure,), 1.0))
    journal.close()


def started(directory: Path, num_steps: int) -> ev.RunStarted:
    """The start of a run of so many steps."""
    return ev.RunStarted(
        run=directory.name,
        directory=str(directory),
        method="at",
        data="shapes",
        class_names=("disc", "ring"),
        num_train=num_steps,
        num_validation=500,
        num_test=500,
        device="cpu",
        precision="fp32",
        threads=1,
        num_parameters=1,
        seed=0,
        phases=(PLAN,),
        config={},
    )


async def _measure(directory: Path, num_steps: int, num_keys: int) -> tuple[float, float, list[tuple[str, float]]]:
    app = TrainingApp(Follower(directory), Control(), read_only=True)
    began = time.perf_counter()
    async with app.run_test(size=SIZE) as pilot:
        await _until(lambda: app.state.step >= num_steps and app.state.probe is not None)
        board = app.screen
        assert isinstance(board, Dashboard)
        chart = board.query_one("#loss", Chart)
        await _until(lambda: chart.num_points > 0)
        opened = time.perf_counter() - began
        set_loaded_aside()  # as a console with a terminal does when a run begins
        began = time.perf_counter()
        board.action_zoom(1)
        await _until(lambda: chart.num_points >= num_steps)
        read = time.perf_counter() - began
        order, keys = random.Random(1), []
        for _ in range(num_keys):
            name = order.choice(list(ACTIONS))
            if board.view.is_whole:
                name = "zoom in"
            began = time.perf_counter()
            ACTIONS[name](board)
            app.screen._compositor.render_strips()
            keys.append((name, time.perf_counter() - began))
            await pilot.pause(0.002)
        app.control.stop()
    return opened, read, keys


async def _until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not claim():
        if time.monotonic() > deadline:
            raise RuntimeError(f"the console did not come so far within {WAIT_SECONDS:g} s")
        await asyncio.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
