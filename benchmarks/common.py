"""What every benchmark shares: sides that take turns, medians, the machine line, a table and a JSON file.

A side is one way of doing the work. Sides alternate, so that a machine that slows down slows all of them, and every
side lives in a process of its own, so that none profits from the allocator or thread settings of another.
"""

import argparse
import importlib.metadata
import json
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from claf_engine.compute.cores import usable_cores

REPEATS = 5
LIBRARIES = ("torch", "torchvision")
Work = Callable[[], Any]
"""One repetition; what it returns, numbers or None, is what the side reports besides its time."""


@dataclass(frozen=True)
class Side:
    """One way of doing the work.

    Attributes:
        name: as the table shows it.
        prepare: called once in the side's process with `arguments`; gives the work to repeat. A module-level function.
        arguments: picklable.
    """

    name: str
    prepare: Callable[..., Work]
    arguments: tuple[Any, ...] = ()


@dataclass
class Measured:
    """Seconds of each repetition of a side, and what each returned."""

    name: str
    seconds: list[float] = field(default_factory=list)
    returned: list[Any] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median seconds of a repetition."""
        return statistics.median(self.seconds)

    def plain(self) -> dict[str, Any]:
        """For the JSON file."""
        return {"median_seconds": self.median, "seconds": self.seconds}


class Worker:
    """A process that prepares one side and repeats its work when it is asked to."""

    def __init__(self, side: Side, device: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, line = context.Pipe()
        self._process = context.Process(target=_serve, args=(line, side, device), daemon=True)
        self._process.start()
        line.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._line.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()

    def repeat(self) -> tuple[float, Any]:
        """Seconds of one more repetition and what it returned.

        Raises:
            RuntimeError: the side failed; its traceback is on standard error.
        """
        try:
            self._line.send("go")
            answer: tuple[float, Any] = self._line.recv()
        except (EOFError, OSError):
            raise RuntimeError("a side of the comparison failed; its traceback is above") from None
        return answer


def alternate(sides: Sequence[Side], repeats: int = REPEATS, device: str = "cpu") -> list[Measured]:
    """Measure all sides in turns: one warm-up each, then `repeats` rounds in which the order turns by one.

    Only one side computes at any time. Each repetition ends when the device has finished.
    """
    found = [Measured(side.name) for side in sides]
    with ExitStack() as stack:
        workers = []
        for side in sides:
            # One after the other, because a side may measure the device while it prepares.
            workers.append(stack.enter_context(Worker(side, device)))
            workers[-1].repeat()
        for turn in range(repeats):
            for place in range(len(sides)):
                index = (place + turn) % len(sides)
                seconds, returned = workers[index].repeat()
                found[index].seconds.append(seconds)
                found[index].returned.append(returned)
    return found


def machine_line(device: str = "cpu") -> str:
    """Processor or accelerator, cores, and the versions that matter."""
    names = [f"{library} {importlib.metadata.version(library)}" for library in LIBRARIES]
    where = f"{_processor()}, {usable_cores()} cores"
    if device != "cpu":
        where = f"{torch.cuda.get_device_name(device)}, {where}"
    return f"{where}; {', '.join(names)}; Python {platform.python_version()}"


def parser(description: str | None) -> argparse.ArgumentParser:
    """The flags that every benchmark has: --json, --repeats, --device."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    made.add_argument(
        "--repeats", type=int, default=REPEATS, help="timed repetitions of each side (default %(default)s)"
    )
    made.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    return made


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], device: str = "cpu") -> None:
    """Print one table under the machine line; the first column is text, the others are figures."""
    table = Table(title=title, title_justify="left", caption=machine_line(device), caption_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def write(path: Path | None, figures: dict[str, Any], device: str = "cpu") -> None:
    """Write the figures with the machine line to a JSON file, where one was asked for."""
    if path is not None:
        path.write_text(json.dumps({"machine": machine_line(device), **figures}, indent=2) + "\n")


def _serve(line: Connection, side: Side, device: str) -> None:
    work = side.prepare(*side.arguments)
    while True:
        try:
            line.recv()
        except EOFError:
            return
        started = time.perf_counter()
        returned = work()
        if device != "cpu":
            torch.cuda.synchronize()
        line.send((time.perf_counter() - started, returned))


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for text in cpuinfo.read_text().splitlines():
            if text.startswith("model name"):
                return text.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
