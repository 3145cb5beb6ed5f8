"""Reproduces a table in the chosen user interface, and says how it ended."""

import json
from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.reproduce.plan import ReproductionRequest, configs_of, make_folder
from claf_engine.terms.pixels import format_levels
from claf_tui.reports import output, printers
from claf_tui.runners.signals import stopping_signals
from claf_tui.runners.train import print_events
from claf_tui.runners.ui_mode import choose_ui
from claf_tui.words import exit_codes, figures
from claf_tui.words.safe_text import safe

NO_BALL = "released-code space: these figures are not accuracy in an epsilon-ball"
ENDED = {"finished", "reused", "failed"}


class ReproductionEngine:
    """The events of one reproduction; `latest` is the table as it stood last."""

    def __init__(self, request: ReproductionRequest) -> None:
        self._request = request
        self.latest: ev.ReproductionChanged | None = None

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        """Yield the events. Torch is loaded here, in the thread that trains."""
        from claf_engine.reproduce.runner import reproduce

        for event in reproduce(self._request, control):
            if isinstance(event, ev.ReproductionChanged):
                self.latest = event
            yield event


class ReproductionPrinter:
    """Lines for a person: those of the runs, and one whenever a row begins, is being measured, or ends."""

    def __init__(self) -> None:
        self._show_run = printers.PlainPrinter()
        self._told: dict[int, str] = {}

    def __call__(self, event: ev.Event) -> None:
        """Write what there is to say about one event."""
        self._show_run(event)
        if not isinstance(event, ev.ReproductionChanged):
            return
        for index, row in enumerate(event.rows):
            if row.status != self._told.get(index, "waiting"):
                self._told[index] = row.status
                output.note(f"[{index + 1}/{len(event.rows)}] {row_line(row, event.columns)}")


def run(request: ReproductionRequest, asked_ui: str, *, as_json: bool) -> int:
    """Reproduce a table until it is filled or the person leaves.

    Returns:
        The exit code: 7 when a row could not be filled.

    Raises:
        ClafError: the request is wrong, the folder cannot be written, or another process fills the same table.
    """
    engine, control = ReproductionEngine(request), Control()
    ui = choose_ui(asked_ui)
    if ui == "tui":
        from claf_tui.console.reproduce_app import run_reproduction

        configs_of(request)
        make_folder(request)
        code = run_reproduction(engine, control, log_path=request.directory / "console.log")
    else:
        show = printers.json_line if ui == "jsonl" else ReproductionPrinter()
        with stopping_signals(control) as received:
            print_events(engine(control), show, control)
        code = received.exit_code
    has_failed_rows = engine.latest is not None and any(row.status == "failed" for row in engine.latest.rows)
    if code == exit_codes.OK or (has_failed_rows and code == exit_codes.UNEXPECTED):
        _tell_result(request, engine.latest, as_json=as_json, is_quiet=ui == "jsonl")
        return exit_codes.ROW_FAILED if has_failed_rows else exit_codes.OK
    return code


def dry_run(request: ReproductionRequest, *, as_json: bool) -> int:
    """List the runs that a table needs, with their estimated times; write nothing."""
    from claf_engine.reproduce.forecast import forecast

    runs = forecast(request)
    seconds = sum(item.seconds for item in runs)
    if as_json:
        rows = [
            {
                "label": item.label,
                "seed": item.seed,
                "action": item.action,
                "run": item.run,
                "seconds": round(item.seconds, 1),
            }
            for item in runs
        ]
        output.record({"runs": rows, "seconds": round(seconds, 1)})
        return exit_codes.OK
    table = _table("row", "seed", "run", "", "time")
    for item in runs:
        table.add_row(
            safe(item.label), str(item.seed), item.action, safe(item.run, 200), figures.duration(item.seconds)
        )
    table.add_row("in all", "", "", "", figures.duration(seconds), style="bold")
    output.show(table)
    output.note("times are estimated from a few seconds of this machine's arithmetic; nothing was written")
    return exit_codes.OK


def result_tables(event: ev.ReproductionChanged) -> list[RenderableType]:
    """The finished table: the paper's figures, ours, and the difference in points."""
    table = _table("row", "", "natural", *(safe(column, 40) for column in event.columns), "moved", "status")
    for row in event.rows:
        theirs, ours = (row.paper_natural, *row.paper_robust), (row.natural, *row.robust)
        differences = [difference(mine, paper) for mine, paper in zip(ours, theirs, strict=True)]
        moved = figures.UNKNOWN if row.largest_distance is None else format_levels(row.largest_distance)
        table.add_row(safe(row.label), "paper", *map(figures.percent, theirs), "", "", style="dim")
        table.add_row("", "ours", *map(figures.percent, ours), moved, row.status, style="bold")
        table.add_row("", "difference", *differences, "", safe(row.reason, 200))
    shown: list[RenderableType] = [Text(f"{safe(event.title)}, scale {event.scale}"), table]
    if event.space != "pixel":
        shown.append(Text(f"{NO_BALL}; `moved` is how far it took an image at most", style="yellow"))
    return [*shown, Text(f"folder: {safe(event.directory, 400)}")]


def row_line(row: ev.ReproductionRow, columns: tuple[str, ...]) -> str:
    """One row as one line."""
    name = f"{safe(row.label)}: {row.status}"
    if row.status == "failed":
        return f"{name}: {safe(row.reason, 400)}"
    if row.status not in ENDED:
        return name
    found = zip(("natural", *columns), (row.natural, *row.robust), (row.paper_natural, *row.paper_robust), strict=True)
    return f"{name}: " + ", ".join(
        f"{safe(title, 40)} {figures.percent(ours)} (paper {figures.percent(paper)})" for title, ours, paper in found
    )


def difference(ours: float | None, paper: float | None) -> str:
    """Ours minus the paper's, in points."""
    return figures.UNKNOWN if ours is None or paper is None else f"{100 * (ours - paper):+.1f}"


def _tell_result(
    request: ReproductionRequest, latest: ev.ReproductionChanged | None, *, as_json: bool, is_quiet: bool
) -> None:
    if as_json:
        output.record(_written(request))
    elif latest is not None and not is_quiet:
        output.show(*result_tables(latest))


def _written(request: ReproductionRequest) -> dict[str, Any]:
    """The record that the reproduction wrote."""
    record: dict[str, Any] = json.loads((request.directory / "reproduction.json").read_bytes())
    return record


def _table(*headings: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
