"""The command line: what can be asked, and how every mistake ends as one sentence and an exit code.

Nothing here imports torch or Textual; a command loads what it needs when it runs, so that help comes at once.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from typer.main import get_command

from claf_engine.terms.errors import ClafError, ProcessLost
from claf_tui.commands import (
    audit,
    checkpoint,
    compare,
    config,
    doctor,
    evaluate,
    export,
    report,
    reproduce,
    runs,
    steer,
    train,
    watch,
)
from claf_tui.commands.completion import words_whole
from claf_tui.reports import output
from claf_tui.reports.streams import prepare_streams
from claf_tui.runners.signals import leaving_signals
from claf_tui.words import exit_codes

DEBUG_VARIABLE = "CLAF_DEBUG"
LAST_WORD_SECONDS = 5.0
"""So long a process of several waits with its complaint."""

app = typer.Typer(
    name="claf-tui",
    help="Train adversarially robust image classifiers with CLAF, watch the run live, and measure honestly.",
    epilog=exit_codes.epilog(),
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("audit")(audit.audit)
app.command("compare")(compare.compare)
app.command("export")(export.export)
app.command("report")(report.report)
app.add_typer(runs.app, name="runs")
app.command("watch")(watch.watch)
app.command("steer")(steer.steer)
app.command("reproduce")(reproduce.reproduce)
app.command("doctor")(doctor.doctor)
app.add_typer(checkpoint.app, name="checkpoint")
app.add_typer(config.app, name="config")


def _show_version(is_asked: bool) -> None:
    if is_asked:
        output.text(f"claf-tui {_version()}")
        raise typer.Exit


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("claf-tui")
    except metadata.PackageNotFoundError:
        return "(not installed)"


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    _is_version_asked: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> int | None:
    if context.invoked_subcommand is not None:
        return None
    from claf_tui.runners.ui_mode import choose_ui

    if choose_ui("auto") == "tui":
        return runs.browse()
    context.get_help()
    return None


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    prepare_streams()
    try:
        with leaving_signals():
            sys.exit(run(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:  # before a command could take it
        sys.exit(exit_codes.of_signal(signal.SIGINT))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and give its exit code."""
    try:
        with words_whole():
            result = get_command(app).main(list(arguments), prog_name="claf-tui", standalone_mode=False)
    except typer.TyperException as error:
        if not error.format_message():  # help has been shown in place of a missing command
            return exit_codes.OK
        _complain(error.format_message())
        return error.exit_code
    except ClafError as error:
        _complain(str(error), is_lost=isinstance(error, ProcessLost))
        return exit_codes.of_error(error)
    except typer.Abort:
        return exit_codes.UNEXPECTED
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE) == "1":
            raise
        if _lacks_library(error):
            _complain(_lacking(error))
            return exit_codes.DEVICE
        _complain(_unexpected(error))
        return exit_codes.of_error(error)
    return result if isinstance(result, int) else exit_codes.OK


def _complain(sentence: str, *, is_lost: bool = False) -> None:
    """Say what is wrong.

    What is wrong in several processes of torchrun the first one says. Then it leaves, and torchrun ends the others
    while they wait; only where it does not, they have something to say of their own.
    """
    if is_lost or os.environ.get("RANK", "0") != "0":
        time.sleep(LAST_WORD_SECONDS)
    output.error(sentence)


def _lacks_library(error: Exception) -> bool:
    """Whether somebody else's module cannot be imported; that one of ours cannot be is a mistake of ours."""
    return isinstance(error, ImportError) and (error.name or "").split(".")[0] not in {"claf_engine", "claf_tui"}


def _lacking(error: Exception) -> str:
    from claf_engine.terms.installation import install_line

    return (
        f"a library is missing or does not fit ({error}); {install_line()} installs what claf-tui needs, and "
        "`claf-tui doctor` says what else is amiss"
    )


def _unexpected(error: Exception) -> str:
    where = "; ".join(getattr(error, "__notes__", [])) or f"{DEBUG_VARIABLE}=1 shows the traceback"
    return f"unexpected {type(error).__name__}: {error} ({where})"
