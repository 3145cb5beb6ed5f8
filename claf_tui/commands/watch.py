"""`claf-tui watch`."""

import os
from pathlib import Path

from claf_engine.events import RunFinished
from claf_engine.events.control import Control
from claf_tui.commands import options
from claf_tui.reports import output, printers
from claf_tui.runners.ui_mode import choose_ui
from claf_tui.words import exit_codes


def watch(run: options.Run = "latest") -> int:
    """Watch a run that another process trains; nothing can be changed from here."""
    from claf_engine.runs import find_run, runs_root
    from claf_tui.console.follower import Follower

    directory = find_run(run, runs_root())
    follower = Follower(directory)
    if choose_ui("auto") == "tui":
        from claf_tui.console.launch import run_console, tell_failure
        from claf_tui.console.train_app import TrainingApp

        result = run_console(TrainingApp, follower, Control(), log_path=Path(os.devnull), read_only=True)
        tell_failure(result, None)
        return result.return_code
    from claf_tui.words.next_command import saved_text

    show = printers.PlainPrinter()
    for event in follower(Control()):
        show(event)
        if isinstance(event, RunFinished) and event.status == "stopped":
            output.note(saved_text(event))
    return exit_codes.OK
