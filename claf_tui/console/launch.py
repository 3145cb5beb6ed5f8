"""Run the console around an engine: terminal, thread and exit code in one call."""

import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from claf_engine.events.control import Control
from claf_tui.console.base import ConsoleApp
from claf_tui.console.bridge import Engine, describe
from claf_tui.console.guard import SAVE_TIMEOUT, guarded
from claf_tui.console.keeper import TerminalKeeper, kept_terminal
from claf_tui.console.terminal import captured_output
from claf_tui.reports import output
from claf_tui.reports.printers import PlainPrinter
from claf_tui.screens.checkpoints.actions import ResumeRequest
from claf_tui.screens.runs.requests import NewRunRequest, OpenRequest
from claf_tui.words import exit_codes
from claf_tui.words.safe_text import safe, safe_lines

LEAVE_TIMEOUT = 10.0
"""Seconds that a finished engine gets to run its last lines, such as closing its files."""
LOOK_SECONDS = 0.5
"""Between two looks at what work tells that has no terminal any more."""
MAX_LINE = 1000
WATCH_TIMEOUT = 2.0
"""Seconds that the reader of a watched run gets; nothing depends on it."""


@dataclass(frozen=True)
class ConsoleResult:
    """How the console ended.

    Attributes:
        return_code: what the process should exit with.
        resume: what the person asked to go on from, or None.
        goes_on: whether the person asked that the work go on in a process of its own.
        reason: why the work failed, or an empty string.
        opened: the run that the person asked to see, or None.
        new: the run that the person put together to be trained, or None.
    """

    return_code: int
    resume: ResumeRequest | None = None
    reason: str = ""
    goes_on: bool = False
    opened: OpenRequest | None = None
    new: NewRunRequest | None = None


def run_console(
    app_class: Callable[..., ConsoleApp],
    engine: Engine,
    control: Control,
    *,
    log_path: Path,
    read_only: bool = False,
    leave: Callable[[int], None] = os._exit,
) -> ConsoleResult:
    """Show an engine's work in the terminal until the person leaves, and wait for the engine to save.

    Descriptors 1 and 2 go to `log_path` meanwhile, and so do lines on what happens where the terminal goes away and the
    work is to go on. When the engine is still at work after it was given up on, the process leaves at once through
    `leave`, because a thread inside a kernel cannot be ended any other way; the last checkpoint on disk is whole. It
    leaves so too when the console hangs (see `Guard`); when it dies the terminal is restored (see `TerminalKeeper`).

    Args:
        app_class: makes the console to show it in.
        engine: makes the events, in a thread of its own.
        control: what the engine polls.
        log_path: file for everything that other code prints; also receives the traceback of a failure.
        read_only: the work is another process's and is only watched.
        leave: ends the process; may be called in any thread.
    """
    with captured_output(log_path) as (log_file, screen), kept_terminal(screen.fileno(), log_file) as keeper:
        app = app_class(engine, control, read_only=read_only, log_file=log_file)
        with guarded(app, screen, _leaving(log_file, keeper, leave)):
            with _job_signals_kept():
                request = app.run()
            _see_through(app, log_file, keeper)
            control.stop()
            has_left = not app.was_abandoned and app.thread.join(_patience(app, read_only=read_only))
            app.take_rest()
        log_file.writelines(f"{line}\n" for line in safe_lines(app.thread.traceback_text, 20_000))
        if app.broken_by is not None:
            log_file.write("".join(traceback.format_exception(app.broken_by)))
    return_code = app.return_code or (0 if app.broken_by is None else exit_codes.UNEXPECTED)
    if app.is_hung_up:  # the screen was left before it was known how the work ends
        return_code = app.exit_code
    if not has_left and not read_only:
        sys.stdout.flush()
        leave(return_code)
    return ConsoleResult(
        return_code=return_code,
        resume=request if isinstance(request, ResumeRequest) else None,
        opened=request if isinstance(request, OpenRequest) else None,
        new=request if isinstance(request, NewRunRequest) else None,
        reason=app.reason if app.broken_by is None else f"the console broke: {describe(app.broken_by)}",
        goes_on=app.goes_on and return_code in (exit_codes.OK, exit_codes.of_signal(signal.SIGHUP)),
    )


def _see_through(app: ConsoleApp, log_file: TextIO, keeper: TerminalKeeper | None) -> None:
    """Wait for work that has lost its terminal and goes on, and write what happens as lines."""
    if app.is_left_alone and keeper is not None:
        keeper.restore()  # its process would stay as long as the work

    def write(line: str) -> None:
        with suppress(OSError):  # a full disk does not end the work
            os.write(log_file.fileno(), f"{safe(line, MAX_LINE)}\n".encode())

    show = PlainPrinter(write)
    while app.is_left_alone:
        app.thread.join(LOOK_SECONDS)
        for event in app.thread.drain():
            app.take(event)
            show(event)


def _leaving(log_file: TextIO, keeper: TerminalKeeper | None, leave: Callable[[int], None]) -> Callable[[int], None]:
    """What ends the process though its main thread be stuck, in anything that it may hold a lock of."""

    def leave_at_once(code: int) -> None:
        try:
            os.write(log_file.fileno(), f"left with {code} without waiting for the screen\n".encode())
            if keeper is not None:
                keeper.restore()
        finally:  # a full disk does not keep it; and what is not restored here, the keeper restores afterwards
            leave(code)

    return leave_at_once


@contextmanager
def _job_signals_kept() -> Iterator[None]:
    """Undo what Textual does to signals; it leaves handlers behind that raise where no console is up."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _patience(app: ConsoleApp, *, read_only: bool) -> float:
    if read_only:
        return WATCH_TIMEOUT
    return LEAVE_TIMEOUT if app.has_ended else SAVE_TIMEOUT


def tell_failure(result: ConsoleResult, log_path: Path | None) -> None:
    """Say in the terminal why the work failed, if it did.

    Args:
        result: how the console ended.
        log_path: where more is, or None where nothing is kept.
    """
    if result.reason and result.return_code != exit_codes.OK:
        output.error(f"{result.reason} (more in {log_path})" if log_path is not None else result.reason)


def typed_command() -> str:
    """The command line of this process as a person types it."""
    return shlex.join(["claf-tui", *sys.argv[1:]])
