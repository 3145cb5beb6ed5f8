from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

from claf_engine.events.ticks import Pulse
from claf_tui.screens.checkpoints.steps_thread import play_steps


def steps(closed: list[bool]) -> Generator[Pulse, None, str]:
    try:
        for done in range(1000):
            yield Pulse("", done, 1000)
        return "report"
    finally:
        closed.append(True)


def worker(*, is_cancelled: bool) -> Any:
    return SimpleNamespace(is_cancelled=is_cancelled)


def test_steps_are_played_to_their_report_and_few_pulses_are_told() -> None:
    told: list[Pulse] = []
    assert play_steps(steps([]), worker(is_cancelled=False), told.append) == "report"
    assert 1 <= len(told) < 1000


def test_steps_that_nobody_waits_for_are_closed() -> None:
    closed: list[bool] = []
    played = steps(closed)
    next(played)
    assert play_steps(played, worker(is_cancelled=True), lambda _: None) is None
    assert closed == [True]
