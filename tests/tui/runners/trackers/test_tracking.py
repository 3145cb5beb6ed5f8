"""The seam of trackers: what a slow or broken one costs, which is nothing but its own figures."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_tui.runners.trackers import tracking
from claf_tui.runners.trackers.tracking import tracked
from tests.tui.scripted import robust_figure, run_started


class Recorder:
    name = "recorder"

    def __init__(self) -> None:
        self.told: list[object] = []

    def begin(self, run: ev.RunStarted) -> str:
        self.told.append(run.run)
        return "records here"

    def scalars(self, step: int, values: dict[str, float], at: float) -> None:
        self.told.append((step, values))

    def probed(self, step: int) -> None:
        self.told.append(("probed", step))

    def end(self, status: str) -> None:
        self.told.append(status)


class Broken(Recorder):
    def begin(self, run: ev.RunStarted) -> str:
        raise ConnectionError("https://me:password@host does not answer")


class Stuck(Recorder):
    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def begin(self, run: ev.RunStarted) -> str:
        self.released.wait(60)
        return "is free"


def logged(step: int) -> ev.StepLogged:
    return ev.StepLogged(step, 0, 1, "encoder", "supcon", 1.0, 0.1, None, 1.0)


def events(directory: Path, num_steps: int = 3) -> list[ev.Event]:
    probe = ev.ProbeFinished(num_steps, 0, 1, "attack", 0.5, (robust_figure("8/255", 0.2),), 1.0)
    steps = [logged(step) for step in range(1, num_steps + 1)]
    return [run_started(directory), *steps, probe, ev.RunFinished("finished", num_steps, 1.0)]


def test_a_tracker_hears_of_everything_that_is_plotted(tmp_path: Path) -> None:
    recorder, script = Recorder(), events(tmp_path)
    passed = list(tracked(iter(script), [recorder]))
    assert [event for event in passed if event in script] == script
    assert recorder.told[0] == tmp_path.name
    assert [told[0] for told in recorder.told[1:-1]] == [1, 2, 3, 3, "probed"]
    assert recorder.told[-1] == "finished"
    assert any(isinstance(event, ev.Notice) and event.text == "recorder records here" for event in passed)


def test_a_broken_tracker_is_one_notice_without_a_secret(tmp_path: Path) -> None:
    script = events(tmp_path)
    passed = list(tracked(iter(script), [Broken(), other := Recorder()]))
    (warning,) = [event for event in passed if isinstance(event, ev.Notice) and event.level == "warning"]
    assert warning.text == (
        "recorder records no more: ConnectionError: https://***@host does not answer; training goes on"
    )
    assert other.told[-1] == "finished"
    assert [event for event in passed if event in script] == script


def test_a_stuck_tracker_delays_no_step_and_is_left_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "PATIENCE", 0.2)
    monkeypatch.setattr(tracking, "MAX_WAITING", 10)
    stuck, begun = Stuck(), time.monotonic()
    passed = list(tracked(iter(events(tmp_path, 2000)), [stuck]))
    assert time.monotonic() - begun < 30
    texts = [event.text for event in passed if isinstance(event, ev.Notice)]
    assert any("does not keep up" in text for text in texts)
    assert any("still sending" in text for text in texts)
    assert any("missed" in text for text in texts)
    stuck.released.set()


def test_a_run_that_is_left_early_closes_its_tracker(tmp_path: Path) -> None:
    recorder = Recorder()
    playing = tracked(iter(events(tmp_path)), [recorder])
    next(playing)
    assert isinstance(playing, Iterator)
    playing.close()  # type: ignore[attr-defined]
    assert recorder.told[-1] == "failed"


def test_what_the_engine_raises_goes_through(tmp_path: Path) -> None:
    def breaking() -> Iterator[ev.Event]:
        yield run_started(tmp_path)
        raise RuntimeError("out of memory")

    recorder = Recorder()
    with pytest.raises(RuntimeError, match="out of memory"):
        list(tracked(breaking(), [recorder]))
    assert recorder.told[-1] == "failed"


def test_without_trackers_there_are_no_threads(tmp_path: Path) -> None:
    before = threading.active_count()
    playing = tracked(iter(events(tmp_path)), [])
    next(playing)
    assert threading.active_count() == before
