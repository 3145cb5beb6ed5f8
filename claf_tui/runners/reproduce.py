"""Reproduces a table in the chosen user interface, and says how it ended."""

import json
from collections.abc import Iterator
from typing import Any

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.reproduce.plan import ReproductionRequest, configs_of, make_folder
from claf_tui.reports import output, printers
from claf_tui.reports.printers import print_events
from claf_tui.reports.reproduction import ReproductionPrinter, _table, result_tables
from claf_tui.runners.signals import stopping_signals
from claf_tui.runners.ui_mode import choose_ui
from claf_tui.words import exit_codes, figures
from claf_tui.words.safe_text import safe


class ReproductionEngine:
    """The events of one reproduction; `latest` is the table as it stood last."""

    def __init__(self, request: ReproductionRequest) -> None:
        self._request = request
        self.latest: ev.ReproductionChanged | None = None

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        """Yield the events. Torch is loaded here, in the thread that trains."""
        from claf_engine.compute.device import own_process
        from claf_engine.config import RuntimeConfig
        from claf_engine.reproduce.runner import reproduce

        own_process(RuntimeConfig())
        for event in reproduce(self._request, control):
            if isinstance(event, ev.ReproductionChanged):
                self.latest = event
            yield event


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
