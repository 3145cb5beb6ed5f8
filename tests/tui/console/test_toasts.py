from dataclasses import replace

import pytest

from claf_engine import events as ev
from claf_tui.console.toasts import Toast, toast_of


def test_what_another_process_asked_is_told_while_it_is_fresh() -> None:
    event = ev.RequestServed(1, "pause", "", "ann on node1, process 12", 1000.0, is_accepted=True, answer="it waits")
    assert toast_of(event, 1001.0) == Toast("pause, asked by ann on node1, process 12: it waits")
    assert toast_of(event, 2000.0) is None
    refused = toast_of(replace(event, is_accepted=False), 1001.0)
    assert refused is not None
    assert refused.severity == "warning"


@pytest.mark.parametrize(
    ("event", "severity"),
    [
        (ev.Notice("error", "no room"), "error"),
        (ev.Notice("warning", "little room"), "warning"),
        (ev.CheckpointSaved(1200, 0, "x", 1, ("requested",), 0.1), "information"),
        (ev.ProbeFinished(1, 0, 1, "attack", 0.5, (), 1.0, requested=True), "information"),
    ],
)
def test_trouble_and_answers_to_requests_are_told(event: ev.Event, severity: str) -> None:
    toast = toast_of(event, 0.0)
    assert toast is not None
    assert toast.severity == severity


@pytest.mark.parametrize(
    "event",
    [
        ev.Notice("info", "fine"),
        ev.CheckpointSaved(1, 0, "x", 1, ("last",), 0.1),
        ev.ProbeFinished(1, 0, 1, "attack", 0.5, (), 1.0),
        ev.RunFinished("finished", 1, 1.0),
    ],
)
def test_what_nobody_asked_for_is_not(event: ev.Event) -> None:
    assert toast_of(event, 0.0) is None
