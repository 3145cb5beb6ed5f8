"""Question 9: how long do the command line and the engine's imports take to start?

Every side is a fresh process, from its start to its end; the files it reads have been read before, so that the disk
does not count. The ratios are seconds over those of a bare Python, and `run_over_torch` those of all that a run imports
over those of torch alone. The first frame is the console's first picture, on a pseudo-terminal of 140 x 45 cells: from
the start of `claf-tui train` to the word STARTING, which stands there before torch is loaded.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import Measured, Side, alternate, parser, show, write
from benchmarks.terminals import Terminal, environment_in

FRAME = "first frame"
FRAME_SECONDS = 60.0
PYTHON, TORCH, RUN = "python", "torch", "run"
COMMANDS: dict[str, tuple[str, ...]] = {
    PYTHON: ("-c", "pass"),
    "help": ("-m", "claf_tui", "--help"),
    "version": ("-m", "claf_tui", "--version"),
    "engine": ("-c", "import claf_engine"),
    RUN: ("-c", "import claf_engine.training.run"),
    TORCH: ("-c", "import torch"),
}
"""Arguments of the Python of each side."""


def main(argv: Sequence[str] | None = None) -> None:
    """Start everything in turns, print a table and write the JSON file."""
    wanted = _arguments(argv)
    with TemporaryDirectory() as folder:
        sides = [Side(name, prepare_command, (arguments,)) for name, arguments in COMMANDS.items()]
        sides.append(Side(FRAME, prepare_frame, (Path(folder),)))
        found = {side.name: seconds_of(side) for side in alternate(sides, wanted.repeats)}
    medians = {name: statistics.median(times) for name, times in found.items()}
    ratios = ratios_of(medians)
    _show(medians)
    write(wanted.json, {"ratios": ratios, "seconds": medians, "all_seconds": found})


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    return parser(__doc__).parse_args(argv)


def prepare_command(arguments: tuple[str, ...]) -> Callable[[], None]:
    """Run a command of Python to its end."""

    def work() -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    return work


def prepare_frame(folder: Path) -> Callable[[], float]:
    """Start the console; the work gives the seconds until its first picture stands."""
    command = [sys.executable, "-m", "claf_tui", "train", "--preset", "smoke", "--ui", "tui"]

    def work() -> float:
        with Terminal(command, environment_in(folder)) as terminal:
            return terminal.arrival_of(b"STARTING", FRAME_SECONDS) - terminal.began

    return work


def seconds_of(side: Measured) -> list[float]:
    """Seconds of each repetition: those it returned, where it did."""
    return [took if told is None else told for took, told in zip(side.seconds, side.returned, strict=True)]


def ratios_of(medians: dict[str, float]) -> dict[str, float]:
    """Each over a bare Python, and all that a run imports over torch alone."""
    over_python = {
        f"{name.replace(' ', '_')}_over_python": seconds / medians[PYTHON]
        for name, seconds in medians.items()
        if name != PYTHON
    }
    return {**over_python, "run_over_torch": medians[RUN] / medians[TORCH]}


def _show(medians: dict[str, float]) -> None:
    titles = {name: f"python {' '.join(arguments)}" for name, arguments in COMMANDS.items()}
    titles[FRAME] = "python -m claf_tui train, first frame"
    rows = [(titles[name], f"{took:.3f}", f"{took / medians[PYTHON]:.1f}x") for name, took in medians.items()]
    show("Start of a fresh process", ("process", "seconds", "over python"), rows)


if __name__ == "__main__":
    main()
