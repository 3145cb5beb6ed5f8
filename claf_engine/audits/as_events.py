"""An audit as events, the way a console hears of it; it can be paused and left at every pulse."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from claf_engine import events as ev
from claf_engine.audits.diagnostic import Check
from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse


class Report(Protocol):
    """What an audit comes to."""

    def to_record(self) -> Mapping[str, Any]:
        """The card as a JSON object."""


Reported = TypeVar("Reported", bound=Report)


def play(
    steps: Generator[Pulse | ev.DiagnosticFound, None, Reported], checks: Sequence[Check], control: Control
) -> Generator[ev.Event, None, Reported | None]:
    """Run an audit to its end, or until it is asked to stop.

    Args:
        steps: see `claf_engine.audits.audit.audit_steps`.
        checks: what will be run, in order.
        control: paused and stopped at pulses; what is finished by then is kept by the audit itself.

    Yields:
        What will be checked, progress and diagnostics as they come, and at the end the card.

    Returns:
        The report; None when it was stopped.
    """
    has_begun = False
    while True:
        try:
            item = next(steps)
        except StopIteration as stop:
            report: Reported = stop.value
            yield ev.AuditFinished(report.to_record())
            return report
        if not has_begun:
            has_begun = True
            yield ev.AuditStarted(tuple(planned(check) for check in checks))
        if isinstance(item, ev.DiagnosticFound):
            yield item
            continue
        yield ev.Progressed.of_activity(item.activity, item.fraction)
        control.wait_while_paused()
        if control.stop_requested:
            return None


def planned(check: Check) -> ev.PlannedCheck:
    """A check as the plain values that are known before it is run."""
    return ev.PlannedCheck(check.name, check.title, check.threshold, check.meaning, check.source)
