"""Plays an engine without a console: in this thread, as lines, with signals that stop it."""

import contextlib
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.terms.errors import ClafError, ProcessLost
from claf_tui.console.bridge import Engine
from claf_tui.console.handlers import OnHangup
from claf_tui.reports import output
from claf_tui.reports.printers import print_events
from claf_tui.reports.streams import OutputLost, send_to
from claf_tui.runners.signals import Received, stopping_signals
from claf_tui.words import exit_codes

LOG = "console.log"
"""File of a folder for tracebacks, and for what other code prints while a console is up."""


def play_in_lines(
    engine: Engine,
    show: Callable[[ev.Event], None],
    log_path: Path,
    leave: Callable[[int], None] = os._exit,
    say: Callable[[str], None] = output.note_from_signal,
    on_hangup: OnHangup = "save",
) -> int | None:
    """Play an engine to its end and show every event; a signal stops it.

    Args:
        engine: makes the events.
        show: prints one.
        log_path: file that receives the traceback of what nobody expected.
        leave: ends the process at a signal that is not to be waited for.
        say: writes one line when a signal comes.
        on_hangup: what a hang-up does; a run that it leaves alone goes on too when nobody can read the lines any more.

    Returns:
        The number of the first signal that came, or None.

    Raises:
        OutputLost: nobody could read the lines, so that the engine was stopped; unless a signal came as well.
        SystemExit: a signal came, and other processes of the run were ended before it could save.
        Exception: what the engine raises; when a user cannot cause it, with a note that names the log.
    """
    control = Control()
    show = outliving(show, log_path) if on_hangup == "leave" else show
    with stopping_signals(control, leave, say, on_hangup) as received:
        try:
            lost = print_events(_noting_begin(engine(control), received), show, control)
        except ProcessLost as error:
            if received.number is not None:  # whoever ended the other process has ended this one as well
                raise SystemExit(exit_codes.of_signal(received.number)) from error
            raise
        except ClafError:
            raise
        except Exception as error:
            with contextlib.suppress(OSError):
                _keep_traceback(error, log_path)
            raise
    if lost is not None and received.number is None:
        raise lost
    return received.number


def outliving(show: Callable[[ev.Event], None], log_path: Path) -> Callable[[ev.Event], None]:
    """Show events as long as somebody can read them, and from then on append what is printed to a file."""

    def shown(event: ev.Event) -> None:
        try:
            show(event)
        except OutputLost:
            send_to(log_path)

    return shown


def _noting_begin(events: Iterator[ev.Event], received: Received) -> Iterator[ev.Event]:
    for event in events:
        received.has_begun |= not isinstance(event, ev.Progressed)
        yield event


def _keep_traceback(error: Exception, log_path: Path) -> None:
    with log_path.open("a", encoding="utf-8", errors="backslashreplace") as log_file:
        log_file.write("".join(traceback.format_exception(error)))
    error.add_note(f"traceback in {log_path}")
