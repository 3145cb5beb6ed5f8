"""Question 7: what does the console cost a run, and how fast does it answer a key while all cores train?

Overhead: the same run in turns with `--ui plain` and in the full-screen console, on a pseudo-terminal of 140 x 45.
The ratio is the console's training time over the other's, both as the run itself counts it, median of all pairs. Both
must log the same losses. Key latency: while stage 2 trains, keys that change the screen are pressed at random moments;
each counts from its writing to the piece of output with which the screen shows what it asked for. The output is only
read and stamped meanwhile, as by a terminal beside the run, and interpreted afterwards.
"""

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyte

from benchmarks.common import parser, show, write
from benchmarks.epochs import settle
from benchmarks.terminals import COLUMNS, LINES, Terminal, environment_in

SETTINGS = {
    "data.num_train": 2000,
    "data.num_validation": 200,
    "data.num_test": 200,
    "contrastive.epochs": 1,
    "adversarial.epochs": 6,
    "linear_evaluation.epochs": 5,
}
"""What is cut down of the demo, so that a run takes most of a minute on two cores."""
RUN_SECONDS = 1800.0
POLL_SECONDS = 0.5
LAST_WORDS = 500
FIRST_SECONDS = 1.0
"""Between the first step of stage 2 and the first key."""
PAUSES = (0.4, 0.8)
"""Seconds between two keys, at random, so that keys do not fall in with the console's own repainting; a key that was
not answered before the next one takes its answer back is never seen to be answered."""
REPEATS = 7
"""Alternated pairs of runs."""
BAR_SECONDS = 0.1
PERCENTILES = (50, 95, 99)
UNKNOWN_TO_PYTE = (b"\x1b[?2026$p", b"\x1b[>1u", b"\x1b[<u")


@dataclass(frozen=True)
class Key:
    """A key and what the screen tells once it was answered.

    Attributes:
        name: what it asks for, for the table.
        text: a pattern of what stands on the screen once it was answered, or no longer does.
    """

    name: str
    pressed: bytes
    text: str
    is_shown: bool

    def is_answered_by(self, screen: str) -> bool:
        """Whether the screen is what the key asked for."""
        return (re.search(self.text, screen) is not None) is self.is_shown


ESCAPE = b"\x1b[27u"
"""As a terminal sends it that tells keys apart; a bare escape is taken for the beginning of another key for 0.1 s."""
CURSOR, STRETCH, MOVED = r"╰─ step \d", r"╰─ [\d,]+ to ", r"╯╰─ [\d,]+ to "
"""Where the cursor is, which steps are shown, and the same below the third panel."""
KEYS = (
    Key("left: cursor", b"\x1b[D", CURSOR, is_shown=True),
    Key("0: no cursor", b"0", CURSOR, is_shown=False),
    Key("up: zoom in", b"\x1b[A", STRETCH, is_shown=True),
    Key("3: panel", b"3", MOVED, is_shown=True),
    Key("1: panel", b"1", MOVED, is_shown=False),
    Key("down: zoom out, twice", b"\x1b[B\x1b[B", STRETCH, is_shown=False),
    Key("x: axis of epochs", b"x", "│epoch", is_shown=True),
    Key("x: time and steps", b"xx", "│epoch", is_shown=False),
    Key("f: full screen", b"f", "4 log", is_shown=False),
    Key("f: all panels", b"f", "4 log", is_shown=True),
    Key("? opens help", b"?", "Steer the run", is_shown=True),
    Key("? closes help", b"?", "Steer the run", is_shown=False),
    Key("v opens examples", b"v", "╭─ pictures", is_shown=True),
    Key("v closes examples", b"v", "╭─ pictures", is_shown=False),
    Key("i opens settings", b"i", "╭─ settings", is_shown=True),
    Key("i closes settings", b"i", "╭─ settings", is_shown=False),
    Key("b opens browser", b"b", "newest first", is_shown=True),
    Key("escape closes browser", ESCAPE, "newest first", is_shown=False),
)
"""Pressed in turns; the last brings back what was there before the first."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure overhead and latency, print a table of each and write the JSON file."""
    wanted = _arguments(argv)
    runtime = settle(wanted.device)
    fixed = {"runtime.device": wanted.device, "runtime.precision": runtime.precision, "runtime.layout": runtime.layout}
    values = [f"{key}={value}" for key, value in {**SETTINGS, **fixed}.items()] + wanted.set
    figures: dict[str, Any] = {"settings": values, "ratios": {}}
    with TemporaryDirectory() as folder:
        if wanted.repeats:
            pairs = [measure_pair(turn, values, Path(folder)) for turn in range(wanted.repeats)]
            figures["ratios"]["overhead"] = statistics.median(pair["tui"] / pair["plain"] for pair in pairs)
            figures["pairs"] = pairs
            _show_pairs(pairs, figures["ratios"]["overhead"], wanted.device)
        if wanted.keys:
            latencies = measure_keys(wanted.keys, values, Path(folder))
            figures["latency_seconds"] = summarise(latencies)
            figures["latencies"] = latencies
            _show_latency(figures["latency_seconds"], wanted.device)
    write(wanted.json, figures, wanted.device)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    flags = parser(__doc__)
    flags.add_argument("--keys", type=int, default=240, help="keys that are pressed, or 0 (default 240)")
    flags.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the runs, on top of the demo's"
    )
    flags.set_defaults(repeats=REPEATS)
    return flags.parse_args(argv)


def command_of(ui: str, values: Sequence[str], name: str) -> list[str]:
    """The command line of one run."""
    command = [sys.executable, "-m", "claf_tui", "train", "--preset", "demo", "--ui", ui, "--name", name]
    return [*command, *(part for value in values for part in ("--set", value))]


def measure_pair(turn: int, values: Sequence[str], folder: Path) -> dict[str, float]:
    """Train once under each user interface, in an order that changes with the turn.

    Returns:
        Seconds of training of each.

    Raises:
        RuntimeError: a run failed, or both did not log the same losses.
    """
    runs = {"plain": train_in_lines, "tui": train_in_console}
    order = list(runs)[:: 1 if turn % 2 == 0 else -1]
    names = {ui: f"{ui}-{turn}" for ui in order}
    seconds = {ui: runs[ui](values, names[ui], folder) for ui in order}
    losses = [[step["loss"] for step in records(folder, name, "StepLogged")] for name in names.values()]
    if losses[0] != losses[1] or not losses[0]:
        raise RuntimeError("the run did not log the same losses under both user interfaces")
    return seconds


def train_in_lines(values: Sequence[str], name: str, folder: Path) -> float:
    """Train with `--ui plain`; gives the seconds of training.

    Raises:
        RuntimeError: the run failed; the end of what it said is told.
    """
    command = command_of("plain", values, name)
    done = subprocess.run(
        command, env=environment_in(folder), capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the run left with exit code {done.returncode}: {done.stderr.strip()[-LAST_WORDS:]}")
    return elapsed(folder, name)


def train_in_console(values: Sequence[str], name: str, folder: Path) -> float:
    """Train in the console and leave it once the run has finished; gives the seconds of training."""
    with Terminal(command_of("tui", values, name), environment_in(folder)) as terminal:
        wait_for(terminal, lambda: any(records(folder, name, "RunFinished")))
        terminal.send(b"q")
        terminal.leave()
    return elapsed(folder, name)


def records(folder: Path, name: str, kind: str) -> Iterator[dict[str, Any]]:
    """The records of one kind in the journal of a run; none before it has begun."""
    for file in sorted(folder.glob(f"runs/*-{name}/*.jsonl")):
        for line in file.read_text().splitlines(keepends=True):
            if line.endswith("\n") and (record := json.loads(line))["type"] == kind:
                yield record


def elapsed(folder: Path, name: str) -> float:
    """Seconds of training of a run, without loading and pauses.

    Raises:
        RuntimeError: it did not finish.
    """
    (finished,) = records(folder, name, "RunFinished")
    if finished["status"] != "finished":
        raise RuntimeError(f"the run {name} did not finish: {finished['reason'] or finished['status']}")
    return float(finished["elapsed"])


def wait_for(terminal: Terminal, claim: Callable[[], bool]) -> None:
    """Wait until a claim about a run in the console holds.

    Raises:
        RuntimeError: the console left before.
        TimeoutError: it took too long.
    """
    deadline = time.monotonic() + RUN_SECONDS
    while not claim():
        if terminal.process.poll() is not None:
            raise RuntimeError(f"the console left with exit code {terminal.process.returncode}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"the run did not come so far within {RUN_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def measure_keys(num_keys: int, values: Sequence[str], folder: Path) -> dict[str, list[float]]:
    """Press keys while stage 2 of an endless run trains; gives the seconds until each answer, by key."""
    endless = [*values, "adversarial.epochs=100000"]
    draw = random.Random(0)
    with Terminal(command_of("tui", endless, "keys"), environment_in(folder)) as terminal:
        wait_for(terminal, lambda: any(step["part"] == "retrain" for step in records(folder, "keys", "StepLogged")))
        time.sleep(FIRST_SECONDS)
        pressed = []
        for number in range(num_keys):
            key = KEYS[number % len(KEYS)]
            pressed.append((terminal.send(key.pressed), key))
            time.sleep(draw.uniform(*PAUSES))
        time.sleep(FIRST_SECONDS)
        pieces = list(terminal.pieces)
    return latencies_of(pieces, pressed)


def latencies_of(pieces: Sequence[tuple[float, bytes]], pressed: Sequence[tuple[float, Key]]) -> dict[str, list[float]]:
    """Seconds from each key press to the piece of output with which the screen had answered it.

    Args:
        pieces: all output with the moments it came at.
        pressed: the keys with the moments they were pressed at; answers come in the same order.

    Raises:
        RuntimeError: a key was never answered.
    """
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    found: dict[str, list[float]] = {key.name: [] for _, key in pressed}
    waiting = iter(pressed)
    moment, key = next(waiting)
    for came, piece in pieces:
        for unknown in UNKNOWN_TO_PYTE:
            piece = piece.replace(unknown, b"")
        stream.feed(piece)
        if came < moment or not key.is_answered_by("\n".join(screen.display)):
            continue
        found[key.name].append(came - moment)
        following = next(waiting, None)
        if following is None:
            return found
        moment, key = following
    raise RuntimeError(f"{key.name!r} was never answered")


def summarise(latencies: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Percentiles in seconds, of each key and of all."""
    every = [seconds for values in latencies.values() for seconds in values]
    return {name: _percentiles(values) for name, values in {**latencies, "all": every}.items()}


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive") if len(values) > 1 else [values[0]] * 99
    return {f"p{percent}": cuts[percent - 1] for percent in PERCENTILES} | {"max": max(values), "count": len(values)}


def _show_pairs(pairs: Sequence[dict[str, float]], overhead: float, device: str) -> None:
    rows = [
        (str(number), f"{pair['plain']:.2f}", f"{pair['tui']:.2f}", f"{100 * (pair['tui'] / pair['plain'] - 1):+.2f} %")
        for number, pair in enumerate(pairs, 1)
    ]
    columns = ("pair", "seconds, --ui plain", "in the console", "overhead")
    show(f"Training time of the same run; the console costs {100 * (overhead - 1):+.2f} %", columns, rows, device)


def _show_latency(found: dict[str, dict[str, float]], device: str) -> None:
    names = [f"p{percent}" for percent in PERCENTILES] + ["max"]
    rows = [
        (key, f"{values['count']:.0f}", *(f"{1000 * values[name]:.1f}" for name in names))
        for key, values in found.items()
    ]
    title = f"Milliseconds from a key to its answer while stage 2 trains; asked for: p99 <= {1000 * BAR_SECONDS:.0f}"
    show(title, ("key", "times", *names), rows, device)


if __name__ == "__main__":
    main()
