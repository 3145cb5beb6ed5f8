"""Question 12: where does the console's own time go?

The console shows a run that an engine without torch plays: steps, progress and probes at the pace of a real one. Told
are the share of a core that the console's thread takes while nothing is pressed, by its own clock and without the
profiler, and with the profiler the functions that it spends its time in. It draws into memory; what the terminal takes
is left out.
"""

import asyncio
import cProfile
import pstats
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.charts import PLAN, started
from benchmarks.common import parser, show, write
from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_tui.console.base import set_loaded_aside
from claf_tui.console.train_app import TrainingApp

SIZE = (140, 45)
SECONDS, STEPS_PER_SECOND, PROBE_EVERY = 20.0, 12, 60
SETTLING = 4.0
"""Seconds before anything is counted; by then all screens are loaded."""
NUM_FUNCTIONS = 12
FIGURE = ev.RobustFigure("8/255", 0.4, "pgd", 10, "2/255", 1, 500)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the tables and write the JSON file."""
    made = parser(__doc__)
    made.add_argument("--seconds", type=float, default=SECONDS, help=f"that are counted (default {SECONDS:g})")
    arguments = made.parse_args(argv)
    with TemporaryDirectory() as folder:
        share = asyncio.run(_share(Path(folder) / "alone", arguments.seconds))
        profile = cProfile.Profile()
        asyncio.run(_share(Path(folder) / "profiled", arguments.seconds, profile))
    rows = functions_of(profile)
    show(
        f"The console takes {100 * share:.1f} % of a core; its time under a profiler",
        ("function", "share"),
        rows,
        "cpu",
    )
    write(arguments.json, {"share_of_a_core": share, "functions": rows}, "cpu")


def played(directory: Path, control: Control) -> Iterator[ev.Event]:
    """Play a run until it is stopped."""
    yield started(directory, 10**6)
    yield ev.PhaseStarted(0, PLAN.name, 0)
    progress = replace(ev.Progressed.of_activity("PGD-10 at 8/255", 0.5), memory_bytes=2**30, images_per_second=90.0)
    step = 0
    while not control.stop_requested:
        step += 1
        loss = 2 + 3 / (1 + step / 100) + 0.1 * (step % 7)
        yield ev.StepLogged(step, 0, 1 + step // 50, "supervised", "cross_entropy", loss, 0.1, 90.0, step / 10)
        share = step / 10**4
        yield replace(progress, activity_fraction=step % 10 / 10, phase_fraction=share, step=step, elapsed=step / 10)
        if step % PROBE_EVERY == 0:
            yield ev.ProbeFinished(step, 0, 1 + step // 50, "adversarial", 0.8, (FIGURE,), 1.0)
        time.sleep(1 / STEPS_PER_SECOND)
    yield ev.RunFinished("stopped", step, step / 10)


def functions_of(profile: cProfile.Profile, most: int = NUM_FUNCTIONS) -> list[list[str]]:
    """Of the time that was not waited: our functions that took most, with what they called, and Textual's own files."""
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    busy = max(sum(own for (_, _, name), (_, _, own, _, _) in stats.items() if not _waits(name)), 1e-9)
    ours: dict[str, float] = {}
    theirs: defaultdict[str, float] = defaultdict(float)
    for (file, _, name), (_, _, own, whole, _) in stats.items():
        parts = Path(file).parts
        if "claf_tui" in parts:
            ours[f"{'/'.join(parts[parts.index('claf_tui') :])}: {name}"] = whole / busy
        elif "textual" in parts:
            theirs["/".join(parts[parts.index("textual") :])] += own / busy
    rows = [
        *_largest(ours, most),
        *_largest({f"{name}, by itself": share for name, share in theirs.items()}, most // 2),
    ]
    return [[name, f"{100 * share:.0f} %"] for name, share in rows]


def _waits(name: str) -> bool:
    return "select" in name or "poll" in name or "acquire" in name


def _largest(shares: Mapping[str, float], most: int) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda item: item[1], reverse=True)[:most]


async def _share(directory: Path, seconds: float, profile: cProfile.Profile | None = None) -> float:
    """The share of a core that the console's thread takes."""
    directory.mkdir()
    app = TrainingApp(lambda control: played(directory, control), Control())
    async with app.run_test(size=SIZE):
        await asyncio.sleep(SETTLING)
        set_loaded_aside()  # as a console with a terminal does when a run begins
        began, cpu = time.monotonic(), time.thread_time()
        if profile is not None:
            profile.enable()
        await asyncio.sleep(seconds)
        if profile is not None:
            profile.disable()
        found = (time.thread_time() - cpu) / (time.monotonic() - began)
        app.control.stop()
        await asyncio.to_thread(app.thread.join, 10)
    return found


if __name__ == "__main__":
    main()
