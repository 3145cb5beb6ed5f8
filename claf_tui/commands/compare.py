"""`claf-tui compare`."""

from typing import Annotated, Literal

import typer

from claf_engine.terms.errors import ConfigError
from claf_tui.commands import options
from claf_tui.reports import output
from claf_tui.words import exit_codes

Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN RUN...",
        help="Two to eight runs: folder, name, or latest; they are A, B, ... in this order.",
        autocompletion=options.complete_runs,
    ),
]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of tables for a terminal.")]
Curves = Annotated[bool, typer.Option("--curves", help="With --json: the curves as well, on every axis there is.")]
CompareUi = Annotated[
    Literal["plain", "tui"],
    typer.Option("--ui", help="tui opens a screen with the curves, which follows runs that go on; plain prints."),
]


def compare(
    runs: Runs, json: options.Json = False, markdown: Markdown = False, curves: Curves = False, ui: CompareUi = "plain"
) -> int:
    """Compare runs: final figures with intervals, what differs in their settings, cost, robustness cards.

    Runs may go on meanwhile; their figures are then those of the latest probe.
    """
    from claf_engine.runs import find_run, runs_root
    from claf_tui.reports import comparison as reports
    from claf_tui.runners.comparison import load_comparison
    from claf_tui.runners.ui_mode import choose_ui
    from claf_tui.state.comparison import require_comparable

    if (json and markdown) or (ui == "tui" and (json or markdown)) or (curves and not json):
        raise ConfigError("choose one of --json, --markdown and --ui tui; --curves goes with --json")
    directories = [find_run(run, runs_root()) for run in runs]
    require_comparable(directories)
    if ui == "tui":
        choose_ui(ui)
        from claf_tui.console.comparison_app import ComparisonApp

        ComparisonApp(directories).run()
        return exit_codes.OK
    comparison = load_comparison(directories)
    if json:
        output.record(reports.comparison_record(comparison, has_curves=curves))
    elif markdown:
        output.text(reports.comparison_markdown(comparison))
    else:
        output.show(*reports.comparison_report(comparison))
    return exit_codes.OK
