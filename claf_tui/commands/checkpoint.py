"""`claf-tui checkpoint show` and `claf-tui checkpoint browse`."""

import sys
from typing import Annotated

import typer

from claf_engine.errors import ConfigError
from claf_tui import exit_codes, output
from claf_tui.commands import options

app = typer.Typer(help="Look into checkpoints without loading them.", no_args_is_help=True)

Which = Annotated[
    str, typer.Option("--checkpoint", metavar="best|last|STEP", help="Which checkpoint of a run; a file needs none.")
]


@app.command()
def show(checkpoint: options.Checkpoint, which: Which = "best", json: options.Json = False) -> int:
    """Show what a checkpoint's header says: where it is from, its figures, its tensors."""
    from claf_engine.inspect import read_info
    from claf_engine.runs import find_checkpoint, list_checkpoints, runs_root
    from claf_tui import reports

    info = read_info(find_checkpoint(checkpoint, runs_root(), options.which_checkpoint(which)))
    siblings = list_checkpoints(info.path.absolute().parent.parent)
    kept_as = next((entry.kept_as for entry in siblings if entry.path.name == info.path.name), ())
    if json:
        output.record(reports.checkpoint_record(info, kept_as))
    else:
        output.show(*reports.checkpoint_tables(info, kept_as))
    return exit_codes.OK


@app.command()
def browse(run: options.Run = "latest") -> int:
    """Browse the checkpoints of a run; evaluate, resume from or delete one."""
    from claf_engine.runs import find_run, is_live, runs_root
    from claf_tui.ui_mode import choose_ui

    directory = find_run(run, runs_root())
    if choose_ui("auto") != "tui":
        raise ConfigError("the checkpoint browser needs a terminal; `claf-tui checkpoint show RUN` prints instead")
    from claf_tui.browser import BrowserApp

    request = BrowserApp(directory, is_live=lambda: is_live(directory)).run()
    if request is None:
        return exit_codes.OK
    from claf_tui import training

    return training.train_in(lambda: training.reopen(str(request.path), sys.argv), "auto")
