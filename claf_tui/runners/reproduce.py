"""Reproduces a table in the chosen user interface, and says how it ended."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from claf_engine import events as ev
from claf_engine.compute.contention import core_time, share_waited
from claf_engine.events.control import Control
from claf_engine.reproduce.plan import ReproductionRequest, configs_of, make_folder
from claf_engine.runs.foreign import STATE_CAP, read_object
from claf_tui.reports import output, printers
from claf_tui.reports.reproduction import UNITS, ReproductionPrinter, plain_table, result_tables
from claf_tui.runners.lines import LOG, play_in_lines
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

    @property
    def num_failed_rows(self) -> int:
        """Rows that could not be filled, as far as the table was told."""
        return sum(row.status == "failed" for row in self.latest.rows) if self.latest else 0


def run(request: ReproductionRequest, asked_ui: str, *, as_json: bool) -> int:
    """Reproduce a table until it is filled or the person leaves.

    Returns:
        The exit code, as `exit_codes.code_of` chooses it.

    Raises:
        ClafError: the request is wrong, the folder cannot be written, or another process fills the same table.
    """
    engine = ReproductionEngine(request)
    ui = choose_ui(asked_ui)
    log_path = request.directory / LOG
    if ui == "tui":
        code = in_console(engine, request, log_path)
    else:
        show = printers.json_line if ui == "jsonl" else ReproductionPrinter()
        number = play_in_lines(engine, show, log_path)
        code = exit_codes.code_of(exit_codes.Ending(signal=number, num_failed_rows=engine.num_failed_rows))
    if code in {exit_codes.OK, exit_codes.ROW_FAILED}:
        _tell_result(request, engine.latest, as_json=as_json, is_quiet=ui == "jsonl")
    return code


def in_console(engine: ReproductionEngine, request: ReproductionRequest, log_path: Path) -> int:
    """Reproduce in the live console.

    Raises:
        ConfigError: the table, the scale or the data source does not exist.
        RunError: the reproduction's folder cannot be written.
    """
    from claf_tui.console.history import WithHistory
    from claf_tui.console.launch import run_console, tell_failure
    from claf_tui.console.reproduce_app import ReproductionApp

    configs_of(request)
    make_folder(request)
    result = run_console(ReproductionApp, WithHistory(engine), Control(), log_path=log_path)
    tell_failure(result, log_path)
    return result.return_code


def dry_run(request: ReproductionRequest, *, as_json: bool) -> int:
    """List the runs that a table needs, with their estimated times, and say when those were taken under load.

    Nothing is written.
    """
    from claf_engine.reproduce.forecast import forecast

    before = core_time()
    runs = forecast(request)
    waited = share_waited(before, core_time())
    seconds = sum(item.seconds for item in runs)
    if as_json:
        rows = [
            {
                "label": item.label,
                "seed": item.seed,
                "action": item.action,
                "run": item.run,
                "seconds": round(item.seconds, 1),
                "units_per_image": round(item.units, 2),
                "units": round(item.total_units),
            }
            for item in runs
        ]
        output.record({"runs": rows, "seconds": round(seconds, 1), "waited": waited})
        return exit_codes.OK
    table = plain_table("row", "seed", "", "run", "units", "time")
    for item in runs:
        table.add_row(
            safe(item.label),
            str(item.seed),
            item.action,
            safe(item.run, 200),
            figures.units(item.units),
            figures.duration(item.seconds),
        )
    table.add_row("in all", "", "", "", "", figures.duration(seconds), style="bold")
    output.show(table)
    output.note(UNITS)
    output.note("times are estimated from a few seconds of this machine's arithmetic; nothing was written")
    if load := figures.load(waited):
        output.note(f"they were taken under load ({load}), and are too long for an idle machine")
    return exit_codes.OK


def _tell_result(
    request: ReproductionRequest, latest: ev.ReproductionChanged | None, *, as_json: bool, is_quiet: bool
) -> None:
    if as_json:
        output.record(_written(request))
    elif latest is not None and not is_quiet:
        output.show(*result_tables(latest))


def _written(request: ReproductionRequest) -> dict[str, Any]:
    """The record that the reproduction wrote, and where."""
    record = read_object(request.directory / "reproduction.json", STATE_CAP)
    return {**record, "directory": str(request.directory)}
