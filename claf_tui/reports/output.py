"""The only module that prints: data to stdout, everything else to stderr.

Foreign strings are cleaned before they get here by whoever builds a table, and here for plain sentences.
"""

import json
import os
import select
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from claf_engine.events.ticks import Pulse, exhaust, pump
from claf_tui.reports.streams import OutputLost, written_to
from claf_tui.words.safe_text import safe

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Report = TypeVar("Report")
Item = TypeVar("Item")

MAX_SENTENCE = 1000
PIPE_WIDTH = 200
"""Columns of a table that no terminal shows, so that nothing in it is cut off."""


def error(sentence: str) -> None:
    """Say in one line what went wrong."""
    from rich.text import Text

    text = safe(" ".join(sentence.split()), MAX_SENTENCE)
    with suppress(OSError, ValueError, OutputLost), written_to(sys.stderr):  # the terminal is gone: nobody to tell
        console(stderr=True).print(Text.assemble(("error:", "bold red"), " ", text), soft_wrap=True)


def note(line: str) -> None:
    """Write one line for a person.

    Raises:
        OutputLost: stderr cannot be written.
    """
    with written_to(sys.stderr):
        sys.stderr.write(f"{safe(line, MAX_SENTENCE)}\n")


def note_from_signal(line: str) -> None:
    """Write one line from a signal handler, which may have interrupted a write to the buffered stream."""
    write_unwaited(f"{line}\n".encode())


def write_unwaited(data: bytes) -> None:
    """Write to stderr what its reader takes at once, if there is one; for what must not wait for a stopped terminal."""
    with suppress(OSError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, data)


def text(lines: str) -> None:
    """Write a text of our own making to stdout as it is.

    Raises:
        OutputLost: stdout cannot be written.
    """
    with written_to(sys.stdout):
        sys.stdout.write(lines if lines.endswith("\n") else f"{lines}\n")


def data(parts: Iterable[bytes]) -> None:
    """Write a text of any length, given in parts of UTF-8, to stdout as it is made.

    Raises:
        OutputLost: stdout cannot be written.
    """
    with written_to(sys.stdout):
        for part in parts:
            sys.stdout.write(part.decode())


def record(value: Mapping[str, Any] | Sequence[Any], *, is_line: bool = False) -> None:
    """Write JSON to stdout, escaped to plain ASCII; `is_line` puts it on one line."""
    text(json.dumps(value, indent=None if is_line else 2, allow_nan=False))


def records(values: Sequence[Any]) -> None:
    """Write a list as JSON to stdout with one of its values a line, for lists of any length."""
    lines = ",\n".join(json.dumps(value, allow_nan=False) for value in values)
    text(f"[\n{lines}\n]" if values else "[]")


def show(*renderables: "RenderableType") -> None:
    """Write rich tables and texts to stdout.

    Raises:
        OutputLost: stdout cannot be written.
    """
    shown = console()
    with written_to(sys.stdout):
        for renderable in renderables:
            shown.print(renderable)


def console(*, stderr: bool = False) -> "Console":
    """A rich console without markup; NO_COLOR and pipes switch colours off."""
    from rich.console import Console

    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=None if is_terminal else PIPE_WIDTH)


def follow(
    steps: Generator[Pulse | Item, None, Report], tell: Callable[[Pulse | Item], None] = lambda _: None
) -> Report:
    """Run steps to their report and draw a progress bar on stderr, when that is a terminal.

    Args:
        steps: what is shown as progress are their pulses.
        tell: is called with everything else that they yield, while no bar is drawn.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    bar = Progress(*columns, console=console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    with bar:
        task, activity = bar.add_task("starting", total=None), ""

        def draw(item: Pulse | Item) -> tuple[()]:
            nonlocal activity
            if not isinstance(item, Pulse):
                bar.stop()  # else its redirection would carry what is told to stderr
                tell(item)
                bar.start()
                return ()
            if item.activity != activity:
                activity = item.activity
                bar.reset(task, description=safe(activity, 48), total=item.total or None)
            bar.update(task, completed=item.done)
            return ()

        return exhaust(pump(steps, draw))
