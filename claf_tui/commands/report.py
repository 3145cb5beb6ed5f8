"""`claf-tui report`."""

from pathlib import Path
from typing import Annotated

import typer

from claf_tui.commands import options
from claf_tui.reports import output
from claf_tui.words import exit_codes

Others = Annotated[
    list[str] | None,
    typer.Option(
        "--compare",
        metavar="RUN",
        help="Another run to put beside it; repeat it for up to seven.",
        autocompletion=options.complete_runs,
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write it.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")]


def report(run: options.NamedRun, compare: Others = None, out: Out = Path("report.html"), force: Force = False) -> int:
    """Write a report on a run as one HTML file that needs no network and runs no script.

    It holds figures with intervals, curves, robustness card, examples, settings, and what happened. No path of this
    machine is in it but those in your own texts.
    """
    from claf_engine.runs import find_run, runs_root
    from claf_tui.reports.report_page import report_html
    from claf_tui.reports.written_file import write_new
    from claf_tui.runners.report import load_report
    from claf_tui.state.comparison import require_comparable

    directories = [find_run(each, runs_root()) for each in (run, *(compare or ()))]
    if len(directories) > 1:
        require_comparable(directories)
    page = report_html(load_report(directories)).encode("utf-8", "replace")
    write_new(out, [page], force=force)
    output.note(f"wrote {out} ({len(page) / 1024:,.0f} KiB); it opens in any browser, without a network")
    return exit_codes.OK
