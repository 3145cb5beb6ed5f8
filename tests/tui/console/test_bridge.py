import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.terms.errors import NonFiniteLoss
from claf_tui.console.bridge import EngineThread, EventStore
from tests.tui.consoles import HANG
from tests.tui.scripted import Script, run_started
from tests.tui.scripted_reproduction import table, waiting_rows


def progressed(step: int) -> ev.Progressed:
    return ev.Progressed(0, 1, 2, "training", 0.0, 0.0, 0.0, float(step), 0.0, None, None, None, 0, step)


def logged(step: int) -> ev.StepLogged:
    return ev.StepLogged(step, 0, 1, "encoder", "supcon", 1.0, 0.1, None, float(step))


def run(engine: object) -> tuple[EngineThread, list[ev.Event]]:
    thread = EngineThread(engine, Control())  # type: ignore[arg-type]
    thread.start()
    assert thread.join(5)
    return thread, thread.drain()


def test_only_the_latest_progress_is_kept() -> None:
    store = EventStore()
    for number in range(5):
        store.put(progressed(number))
    store.put(logged(5))
    assert store.drain() == [logged(5), progressed(4)]
    assert store.drain() == []


def test_progress_of_a_phase_never_comes_after_the_next_phase_began() -> None:
    store = EventStore()
    store.put(progressed(1))
    store.put(ev.PhaseStarted(1, "adversarial", 0))
    assert store.drain() == [progressed(1), ev.PhaseStarted(1, "adversarial", 0)]


def test_a_console_that_does_not_read_costs_bounded_memory_and_is_told() -> None:
    store = EventStore(max_events=100)
    store.put(ev.Notice("info", "keep me"))
    for number in range(5000):
        store.put(logged(number))
    events = store.drain()
    assert len(events) <= 102
    assert events[0] == ev.Notice("info", "keep me")
    assert isinstance(events[-1], ev.Notice)
    assert "not drawn" in events[-1].text


def test_every_event_of_a_run_arrives_in_order(tmp_path: Path) -> None:
    thread, events = run(Script(tmp_path))
    assert isinstance(events[0], ev.RunStarted)
    assert isinstance(events[-1], ev.RunFinished)
    assert thread.error is None


def test_an_engine_that_raises_ends_as_a_failed_run_with_its_sentence() -> None:
    def engine(_: Control) -> Iterator[ev.Event]:
        yield logged(12)
        raise NonFiniteLoss("the loss is NaN at step 12")

    thread, events = run(engine)
    assert events[-1] == ev.RunFinished("failed", 12, 12.0, reason="the loss is NaN at step 12")
    assert isinstance(thread.error, NonFiniteLoss)
    assert "NonFiniteLoss" in thread.traceback_text


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MemoryError("no room")])
def test_nothing_that_an_engine_raises_escapes(error: BaseException) -> None:
    def engine(_: Control) -> Iterator[ev.Event]:
        raise error

    _, events = run(engine)
    assert isinstance(events[-1], ev.RunFinished)
    assert type(error).__name__ in events[-1].reason


def test_an_engine_that_reports_its_failure_and_raises_is_reported_once() -> None:
    def engine(_: Control) -> Iterator[ev.Event]:
        yield ev.RunFinished("failed", 3, 1.0, reason="mine")
        raise RuntimeError("again")

    _, events = run(engine)
    assert [event.reason for event in events if isinstance(event, ev.RunFinished)] == ["mine"]


def test_an_engine_that_leaves_without_a_word_has_failed() -> None:
    _, events = run(lambda _: iter([logged(1)]))
    assert isinstance(events[-1], ev.RunFinished)
    assert events[-1].status == "failed"


def test_a_paused_engine_wakes_when_it_is_stopped_and_leaves_no_thread(tmp_path: Path) -> None:
    control = Control()
    thread = EngineThread(Script(tmp_path), control)
    control.pause()
    thread.start()
    deadline = time.monotonic() + HANG
    while control.status != "paused":
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert not thread.join(0.05)
    control.stop()
    assert thread.join(HANG)
    assert all(other.name != "engine" for other in threading.enumerate())


def test_joining_an_engine_that_never_started_returns_at_once() -> None:
    assert EngineThread(lambda _: iter(()), Control()).join(1)


def series(*events: ev.Event, error: BaseException | None = None) -> tuple[EngineThread, list[ev.Event]]:
    def engine(_: Control) -> Iterator[ev.Event]:
        yield from events
        if error is not None:
            raise error

    thread = EngineThread(engine, Control(), is_series=True)
    thread.start()
    assert thread.join(5)
    return thread, thread.drain()


def test_a_series_may_end_between_runs_without_a_word(tmp_path: Path) -> None:
    _, events = series(run_started(tmp_path), ev.RunFinished("finished", 1, 1.0))
    assert [event.status for event in events if isinstance(event, ev.RunFinished)] == ["finished"]
    assert series()[1] == []


def test_a_series_that_raises_in_a_later_run_ends_that_run_as_failed(tmp_path: Path) -> None:
    first = (run_started(tmp_path), logged(50), ev.RunFinished("finished", 50, 50.0))
    _, events = series(*first, run_started(tmp_path), error=NonFiniteLoss("the loss is NaN"))
    assert events[-1] == ev.RunFinished("failed", 0, 0.0, reason="the loss is NaN")


def test_a_series_that_raises_between_runs_blames_none_of_them(tmp_path: Path) -> None:
    thread, events = series(run_started(tmp_path), ev.RunFinished("finished", 1, 1.0), error=OSError("disk full"))
    assert isinstance(thread.error, OSError)
    assert [event.status for event in events if isinstance(event, ev.RunFinished)] == ["finished"]


def test_progress_of_one_row_never_comes_after_the_table_has_moved_on() -> None:
    store = EventStore()
    store.put(progressed(1))
    store.put(table(waiting_rows(), 1))
    assert store.drain() == [progressed(1), table(waiting_rows(), 1)]


def test_an_engine_has_begun_when_it_tells_of_more_than_what_it_loads(tmp_path: Path) -> None:
    loading = [ev.Progressed.of_activity("drawing training shapes", share / 4) for share in range(4)]
    silent = EngineThread(lambda _: iter(loading), Control(), is_series=True)
    silent.start()
    assert silent.join(HANG)
    assert not silent.has_begun
    begun, _ = run(lambda _: iter([*loading, run_started(tmp_path)]))
    assert begun.has_begun


def test_an_engine_has_left_when_its_last_event_was_taken() -> None:
    thread = EngineThread(lambda _: iter([ev.RunFinished("finished", 1, 1.0)]), Control())
    assert not thread.has_left
    thread.start()
    assert thread.join(5)
    assert not thread.has_left
    thread.drain()
    assert thread.has_left
