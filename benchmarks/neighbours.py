"""What share of a busy machine does a run get, of what would be its fair one?

Neighbours are processes that do nothing but keep a core busy. On c cores with k of them, c threads of a run and the k
neighbours are c + k that want a core, so that fairly a run takes (c + k) / c of the time that it takes alone. The
ratios are shares of that: 1.0 is fair, and more is possible where fewer threads waste less. Each side is a number of
threads; `as it is` leaves that to the run, which takes as many as cores are free. What is timed is `claf-tui train` on
drawn shapes from its start to its end, in a process of its own.

Time alone is compared too: the ratio `alone` of a side is over that of `as it is`.
"""

import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.common import Measured, parser, show, write
from claf_engine.compute.cores import usable_cores

AS_IT_IS = "as it is"
NEIGHBOURS = (0, 1, 2, 4, 8)
RESULTS_OF_NO_USE = ("probe.every_epochs=0", "evaluation.num_examples=8", "data.num_validation=64", "data.num_test=64")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every side beside each number of neighbours, print a table and write the JSON file."""
    made = parser(__doc__)
    made.add_argument(
        "--neighbours", type=int, nargs="+", default=NEIGHBOURS, help="busy processes (default %(default)s)"
    )
    made.add_argument(
        "--threads", type=int, nargs="*", default=(1, usable_cores()), help="sides beside the run's own choice"
    )
    made.add_argument("--preset", default="demo", help="what is trained (default %(default)s)")
    made.add_argument("--images", type=int, default=1000)
    flags = made.parse_args(argv)
    sides = {AS_IT_IS: None, **{_named(count): count for count in sorted(set(flags.threads))}}
    seconds = {}
    for count in sorted({0, *flags.neighbours}):
        found = [Measured(name) for name in sides]
        with neighbours(count):
            for _ in range(flags.repeats):
                for measured in found:
                    measured.seconds.append(run_seconds(flags.preset, flags.images, sides[measured.name]))
        seconds[count] = found
    ratios = ratios_of(seconds, usable_cores())
    _show(seconds, ratios, flags.device)
    plain = {str(count): {side.name: side.plain() for side in found} for count, found in seconds.items()}
    write(flags.json, {"ratios": ratios, "neighbours": plain}, flags.device)


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes that keep a core busy, for as long as the context lasts."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_spin, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def run_seconds(preset: str, images: int, threads: int | None) -> float:
    """Seconds of a whole run on so many images; without a number of threads the run chooses.

    Raises:
        CalledProcessError: it failed; why is on standard error.
    """
    settings = [f"data.num_train={images}", *RESULTS_OF_NO_USE]
    settings += [] if threads is None else [f"runtime.threads={threads}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "claf_tui", "train", "--preset", preset, "--ui", "jsonl"]
        command += [word for setting in settings for word in ("--set", setting)]
        environment = {**os.environ, "CLAF_RUNS_DIR": folder}
        started = time.perf_counter()
        subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started


def ratios_of(seconds: dict[int, list[Measured]], cores: int) -> dict[str, float]:
    """Of each side and number of neighbours, the share of the fair one; and of each side its time alone.

    Args:
        seconds: by number of neighbours, 0 among them; the same sides, `AS_IT_IS` first.
        cores: that there are.
    """
    own = seconds[0][0].median
    found = {}
    for count, sides in seconds.items():
        fair = own * (cores + count) / cores
        for side in sides:
            name = side.name.replace(" ", "_")
            found[f"{name}_{count}" if count else f"{name}_alone"] = fair / side.median
    return found


def _spin() -> None:
    while True:
        statistics.median(range(1000))


def _named(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _show(seconds: dict[int, list[Measured]], ratios: dict[str, float], device: str) -> None:
    rows = []
    for count, sides in seconds.items():
        for side in sides:
            name = side.name.replace(" ", "_")
            share = ratios[f"{name}_{count}" if count else f"{name}_alone"]
            rows.append((f"{count} neighbours, {side.name}", f"{side.median:.2f} s", f"{share:.0%}"))
    show("A run beside busy neighbours", ("side", "seconds", "of the fair share"), rows, device)


if __name__ == "__main__":
    main()
