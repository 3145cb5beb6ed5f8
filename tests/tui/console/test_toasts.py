import pytest

from claf_engine import events as ev
from claf_tui.console.toasts import toast_of


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
