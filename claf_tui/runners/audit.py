"""Audits a checkpoint in the chosen user interface, and says how it ended."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claf_engine.audits.diagnostic import Diagnostic
from claf_engine.audits.request import AuditRequest
from claf_engine.evaluation.cards import FOLDER, home_of
from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import RunError
from claf_tui.reports import output
from claf_tui.reports.audit import diagnostic_lines, summary_lines
from claf_tui.runners.ui_mode import choose_ui
from claf_tui.words import exit_codes

if TYPE_CHECKING:
    from claf_engine.audits.audit import AuditReport


def run(request: AuditRequest, asked_ui: str, *, as_json: bool) -> int:
    """Audit a checkpoint in the chosen user interface until it is done or the person leaves.

    Returns:
        The exit code: 8 when a diagnostic fails, 130 after ctrl+c.

    Raises:
        ClafError: see `claf_engine.audits.audit.audit_steps`.
    """
    if choose_ui("plain" if as_json else asked_ui) == "tui":
        return in_console(request)
    return in_lines(request, as_json=as_json)


def in_lines(request: AuditRequest, *, as_json: bool) -> int:
    """Audit in this thread and print a verdict a line as it is known, or nothing but the record at the end."""
    from claf_engine.audits.audit import audit_steps
    from claf_engine.compute.device import own_process
    from claf_engine.config import RuntimeConfig

    own_process(RuntimeConfig(device=request.device))

    def tell(item: Pulse | Diagnostic) -> None:
        if isinstance(item, Diagnostic) and not as_json:
            output.show(*diagnostic_lines(asdict(item)))

    try:
        report = output.follow(audit_steps(request), tell)
    except KeyboardInterrupt:
        output.note("interrupted; the same command goes on from here")
        return exit_codes.INTERRUPTED
    tell_report(report, as_json=as_json)
    return exit_code(report.verdict)


def in_console(request: AuditRequest) -> int:
    """Audit in the live console and leave a summary in the terminal.

    Raises:
        RunError: the console's log cannot be written beside the checkpoint.
    """
    from claf_tui.console.audit_app import run_audit_console

    reports: list[AuditReport] = []

    def items(_: Control) -> Iterator[Pulse | Diagnostic | Mapping[str, Any]]:
        from claf_engine.audits.audit import audit_steps
        from claf_engine.compute.device import own_process
        from claf_engine.config import RuntimeConfig

        own_process(RuntimeConfig(device=request.device))
        report = yield from audit_steps(request)
        reports.append(report)
        yield report.to_record()

    code = run_audit_console(items, Control(), log_path=_log_path(request))
    if code != exit_codes.OK or not reports:
        return code
    tell_report(reports[0], as_json=False)
    return exit_code(reports[0].verdict)


def _log_path(request: AuditRequest) -> Path:
    folder = home_of(request.checkpoint) / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"the console cannot keep its log in {folder}: {error.strerror}; use --ui plain") from error
    return folder / "console.log"


def exit_code(verdict: str) -> int:
    """What an audit with this overall verdict ends with."""
    return exit_codes.AUDIT_FAILED if verdict == "fails" else exit_codes.OK


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
