"""`claf-tui export`."""

from pathlib import Path
from typing import Annotated

import typer

from claf_engine.terms.errors import ConfigError, MissingFile, RunError
from claf_tui.commands import options
from claf_tui.reports import output
from claf_tui.words import exit_codes, figures

Csv = Annotated[bool, typer.Option("--csv", help="Comma-separated values; the default.")]
AsJson = Annotated[bool, typer.Option("--json", help="A JSON list, one row a line.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Where to write; by default to stdout.", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")]


def export(run: options.NamedRun, csv: Csv = False, json: AsJson = False, out: Out = None, force: Force = False) -> int:
    """Write every logged figure of a run as rows: step, phase, epoch, elapsed, name, value.

    No step is left out. A value that is not finite is nan in CSV and null in JSON, and it is said how many there are.
    """
    from claf_engine.runs import find_run, runs_root
    from claf_engine.runs.metric_rows import MetricReader
    from claf_tui.reports.metric_export import csv_parts, json_parts
    from claf_tui.reports.written_file import write_new

    if csv and json:
        raise ConfigError("choose one of --csv and --json")
    directory = find_run(run, runs_root())
    try:
        reader = MetricReader(directory)
    except MissingFile as error:
        raise RunError(f"run {directory.name} has logged nothing yet, so there is nothing to export") from error
    parts = (json_parts if json else csv_parts)(reader.rows())
    if out is None:
        output.data(parts)
    else:
        write_new(out, parts, force=force)
        output.note(f"wrote {reader.num_rows:,} rows to {out}")
    if reader.num_not_finite:
        written = "null" if json else "nan"
        output.note(f"{reader.num_not_finite:,} values are not finite and are written as {written}")
    if reader.num_damaged:
        output.note(f"passed over {figures.lost_lines(reader.num_damaged)} in the journal")
    return exit_codes.OK
