"""Audits a checkpoint in the chosen user interface, and says how it ended."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from claf_engine import events as ev
from claf_engine.audits.as_events import play
from claf_engine.audits.request import AuditRequest
from claf_engine.evaluation.cards import FOLDER, home_of
from claf_engine.events.audit import DiagnosticFound
from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse
from claf_engine.runs.choosing import afresh_steps
from claf_engine.terms.errors import RunError
from claf_tui.reports import output
from claf_tui.reports.audit import diagnostic_lines, summary_lines
from claf_tui.reports.printers import LiveJsonPrinter
from claf_tui.runners.lines import LOG, play_in_lines
from claf_tui.runners.ui_mode import choose_ui
from claf_tui.words import exit_codes

if TYPE_CHECKING:
    from claf_engine.audits.audit import AuditReport


Choose = Callable[[AuditRequest], AuditRequest]


class AuditEngine:
    """The events of one audit; `report` is what it came to, or None until it has ended."""

    def __init__(self, request: AuditRequest, choose: Choose) -> None:
        self._request = request
        self._choose = choose
        self.report: AuditReport | None = None

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        """Yield the events. Torch is loaded here, in the thread that computes."""
        from claf_engine.audits.audit import audit_steps
        from claf_engine.audits.checks import CHECKS
        from claf_engine.compute.device import own_process
        from claf_engine.config import RuntimeConfig

        own_process(RuntimeConfig(device=self._request.device))
        steps = afresh_steps(self._request, self._choose, audit_steps)
        self.report = yield from play(steps, CHECKS, control)


def run(request: AuditRequest, choose: Choose, asked_ui: str, *, as_json: bool) -> int:
    """Audit a checkpoint in the chosen user interface until it is done or the person leaves.

    Args:
        request: what to audit.
        choose: the same request with files chosen afresh, for when one is gone before it is open.
        asked_ui: auto, tui, plain or jsonl.
        as_json: print the record alone.

    Returns:
        The exit code: 8 when a diagnostic fails, 130 after ctrl+c.

    Raises:
        ClafError: see `claf_engine.audits.audit.audit_steps`.
    """
    match choose_ui("plain" if as_json else asked_ui):
        case "tui":
            return in_console(request, choose)
        case "jsonl":
            return in_events(request, choose)
        case "plain":
            return in_lines(request, choose, as_json=as_json)


def in_lines(request: AuditRequest, choose: Choose, *, as_json: bool) -> int:
    """Audit in this thread and print a verdict a line as it is known, or nothing but the record at the end."""
    from claf_engine.audits.audit import audit_steps
    from claf_engine.compute.device import own_process
    from claf_engine.config import RuntimeConfig

    own_process(RuntimeConfig(device=request.device))

    def tell(item: Pulse | DiagnosticFound) -> None:
        if isinstance(item, DiagnosticFound) and not as_json:
            output.show(*diagnostic_lines(asdict(item)))

    try:
        report = output.follow(afresh_steps(request, choose, audit_steps), tell)
    except KeyboardInterrupt:
        output.note("interrupted; the same command goes on from here")
        return exit_codes.code_of(exit_codes.Ending(signal=signal.SIGINT))
    tell_report(report, as_json=as_json)
    return exit_codes.code_of(exit_codes.Ending(verdict=report.verdict))


def in_events(request: AuditRequest, choose: Choose) -> int:
    """Audit in this thread and print its events, progress among them, as lines of JSON; a signal stops it.

    Raises:
        ClafError: see `run`.
    """
    engine, log_path = AuditEngine(request, choose), _log_path(request)
    signal_number = play_in_lines(engine, LiveJsonPrinter(), log_path)
    verdict = "" if engine.report is None else engine.report.verdict
    return exit_codes.code_of(exit_codes.Ending(signal=signal_number, verdict=verdict))


def in_console(request: AuditRequest, choose: Choose) -> int:
    """Audit in the live console and leave a summary in the terminal.

    Raises:
        RunError: the console's log cannot be written beside the checkpoint.
    """
    from claf_tui.console.audit_app import AuditApp
    from claf_tui.console.launch import run_console, tell_failure

    engine, log_path = AuditEngine(request, choose), _log_path(request)
    result = run_console(AuditApp, engine, Control(), log_path=log_path)
    tell_failure(result, log_path)
    if result.return_code in {exit_codes.OK, exit_codes.AUDIT_FAILED} and engine.report is not None:
        tell_report(engine.report, as_json=False)
    return result.return_code


def _log_path(request: AuditRequest) -> Path:
    folder = home_of(request.checkpoint) / FOLDER
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"the console cannot keep its log in {folder}: {error.strerror}; use --ui plain") from error
    return folder / LOG


def tell_report(report: "AuditReport", *, as_json: bool) -> None:
    """Print the record, or for a person what the diagnostics come to."""
    record = report.to_record()
    if as_json:
        output.record(record)
        return
    output.show(*summary_lines(record))
    for notice in record["notices"]:
        output.note(notice)
    if record["folder"] is not None:
        output.note(f"card: {record['folder']}/card.md")
