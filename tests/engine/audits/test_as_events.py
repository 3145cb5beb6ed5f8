import subprocess
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from claf_engine import events as ev
from claf_engine.audits.as_events import play
from claf_engine.audits.diagnostic import Check, Finding
from claf_engine.events.audit import DiagnosticFound
from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse
from claf_engine.terms import names


@dataclass(frozen=True)
class Report:
    card: Mapping[str, Any]

    def to_record(self) -> Mapping[str, Any]:
        return self.card


def no_check(_: object) -> Generator[Pulse, None, Finding]:
    raise NotImplementedError
    yield


CHECKS = tuple(Check(name, f"{name} holds", "above 1", "why", "source", no_check) for name in ("steps", "noise"))
FOUND = DiagnosticFound(
    "steps", "steps holds", "warns", "2 points", "above 1", "why", "source", {"steps": [10, 40]}, 0.5
)
REPORT = Report({"verdict": "warns"})


def steps() -> Generator[Pulse | DiagnosticFound, None, Report]:
    yield Pulse("PGD-10 at 8/255", 1, 4)
    yield FOUND
    yield Pulse("noise")
    return REPORT


def test_an_audit_tells_its_checks_then_progress_and_diagnostics_then_its_card() -> None:
    assert list(play(steps(), CHECKS, Control())) == [
        ev.AuditStarted(
            (
                ev.PlannedCheck("steps", "steps holds", "above 1", "why", "source"),
                ev.PlannedCheck("noise", "noise holds", "above 1", "why", "source"),
            )
        ),
        ev.Progressed.of_activity("PGD-10 at 8/255", 0.25),
        ev.DiagnosticFound(
            "steps", "steps holds", "warns", "2 points", "above 1", "why", "source", {"steps": [10, 40]}, 0.5
        ),
        ev.Progressed.of_activity("noise", 0.0),
        ev.AuditFinished({"verdict": "warns"}),
    ]


def played(control: Control) -> tuple[list[ev.Event], Report | None]:
    told: list[ev.Event] = []
    playing = play(steps(), CHECKS, control)
    while True:
        try:
            told.append(next(playing))
        except StopIteration as stop:
            return told, stop.value


def test_the_report_comes_back() -> None:
    assert played(Control())[1] == REPORT


def test_a_stop_leaves_at_the_next_pulse_without_a_card() -> None:
    control = Control()
    control.stop()
    told, report = played(control)
    assert [type(event) for event in told] == [ev.AuditStarted, ev.Progressed]
    assert report is None


def test_verdicts_are_the_same_words_everywhere() -> None:
    assert get_args(ev.Verdict) == get_args(names.Verdict)


def test_telling_of_an_audit_needs_no_torch() -> None:
    program = "import sys, claf_engine.audits.as_events; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
