"""Question 13: what does a console cost that shows a paused run?

One run is begun in the console of its owner and paused; another console and another command without one watch it.
Then nothing happens, and the processor time of each process is counted over some time. The owner's process holds the
paused engine as well. A figure is the share of one core.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.common import parser, show, write
from benchmarks.terminals import Terminal, environment_in

LIMIT = 0.01
"""Of one core: what a watcher of a paused run may take."""
RUN = "idle"
BEGIN_SECONDS = 120.0
SETTLE_SECONDS = 5.0
"""After a console shows that the run is paused: what it loads for later is loaded by then."""
PAUSED = b"PAUSED"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure each process, print a table and write the JSON file."""
    wanted = _arguments(argv)
    with TemporaryDirectory() as folder:
        shares = measure(Path(folder), wanted.seconds, wanted.set)
    rows = [(name, f"{share:.2%}", f"{LIMIT:.0%}") for name, share in shares.items()]
    show(f"a paused run, {wanted.seconds:g} s", ("process", "of one core", "asked for"), rows, wanted.device)
    write(wanted.json, {"seconds": wanted.seconds, "limit": LIMIT, "shares": shares}, wanted.device)


def measure(folder: Path, seconds: float, values: Sequence[str] = ()) -> dict[str, float]:
    """The share of a core that each process takes.

    Args:
        folder: for the run.
        seconds: how long to count.
        values: settings of the run, KEY=VALUE.
    """
    variables = environment_in(folder)
    settings = [word for value in values for word in ("--set", value)]
    command = [sys.executable, "-m", "claf_tui"]
    with Terminal([*command, "train", "--preset", "demo", "--name", RUN, "--ui", "tui", *settings], variables) as owner:
        owner.arrival_of(b"RUNNING", BEGIN_SECONDS)
        subprocess.run([*command, "steer", RUN, "pause", "--wait", "60"], env=variables, check=True)
        owner.arrival_of(PAUSED, BEGIN_SECONDS)
        with (
            Terminal([*command, "watch", RUN], variables) as watcher,
            subprocess.Popen([*command, "watch", RUN], env=variables, stderr=subprocess.DEVNULL) as lines,
        ):
            watcher.arrival_of(PAUSED, BEGIN_SECONDS)
            time.sleep(SETTLE_SECONDS)
            processes = {"owner": owner.process.pid, "watcher": watcher.process.pid, "watcher in lines": lines.pid}
            shares = shares_of(processes, seconds)
            lines.kill()
    return shares


def shares_of(
    processes: dict[str, int], seconds: float, sleep: Callable[[float], None] = time.sleep
) -> dict[str, float]:
    """The processor time of processes over some seconds, as a share of them."""
    before = {name: _used(pid) for name, pid in processes.items()}
    begun = time.monotonic()
    sleep(seconds)
    passed = time.monotonic() - begun
    return {name: (_used(pid) - before[name]) / passed for name, pid in processes.items()}


def _used(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    flags = parser(__doc__)
    flags.add_argument("--seconds", type=float, default=60.0, help="how long to count (default 60)")
    flags.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the run")
    return flags.parse_args(argv)


if __name__ == "__main__":
    main()
