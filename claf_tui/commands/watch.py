"""`claf-tui watch`."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from claf_engine.events import RunFinished
from claf_engine.events.control import Control
from claf_tui.commands import options
from claf_tui.reports import output, printers
from claf_tui.runners.ui_mode import choose_ui
from claf_tui.words import exit_codes

ReadOnly = Annotated[bool, typer.Option("--read-only", help="Only look on: no key asks the run for anything.")]


def watch(run: options.Run = "latest", read_only: ReadOnly = False) -> int:
    """Watch a run that another process trains, and steer it with the same keys; `q` leaves it alone."""
    from claf_engine.runs import find_run, runs_root
    from claf_tui.console.follower import Follower

    directory = find_run(run, runs_root())
    if choose_ui("auto") == "tui":
        return _in_console(directory, read_only=read_only)
    from claf_tui.words.next_command import saved_text

    show = printers.PlainPrinter()
    for event in Follower(directory)(Control()):
        show(event)
        if isinstance(event, RunFinished) and event.status == "stopped":
            output.note(saved_text(event))
    return exit_codes.OK


def _in_console(directory: Path, *, read_only: bool) -> int:
    from claf_engine.config.alerts import read_alerts
    from claf_engine.runs.asking import why_not_asked
    from claf_tui.console.follower import Follower
    from claf_tui.console.launch import run_console, tell_failure
    from claf_tui.console.remote import Remote
    from claf_tui.console.train_app import TrainingApp

    why_not = "" if read_only else why_not_asked(directory)
    remote = None if read_only or why_not else Remote(directory)
    app = partial(TrainingApp, remote=remote, why_not=why_not, alerts=read_alerts())
    result = run_console(app, Follower(directory), Control(), log_path=Path(os.devnull), read_only=True)
    tell_failure(result, None)
    return result.return_code
