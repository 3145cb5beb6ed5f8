import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from claf_engine.events.control import Control, Later, LiveEdit, Requests

SOON = 60.0
REQUESTS: dict[str, Callable[[Control], None]] = {
    "probe": Control.probe_now,
    "checkpoint": Control.checkpoint_now,
    "edit": lambda control: control.edit("probe.every_epochs", 2.0),
}
every_request = pytest.mark.parametrize("ask", REQUESTS.values(), ids=REQUESTS)


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SOON
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


class Run(threading.Thread):
    """A run that does nothing but wait while it is paused."""

    def __init__(self, control: Control) -> None:
        super().__init__(daemon=True)
        self.control = control
        self.waited = -1.0

    def run(self) -> None:
        self.waited = self.control.wait_while_paused()

    def left(self) -> bool:
        self.join(SOON)
        return not self.is_alive()


@contextmanager
def paused_run() -> Iterator[tuple[Control, Run]]:
    """A run that waits; whatever happens, it does not outlive the test."""
    control = Control()
    control.pause()
    run = Run(control)
    run.start()
    try:
        assert eventually(lambda: control.status == "paused")
        yield control, run
    finally:
        control.stop()
        assert run.left()


def test_a_fresh_run_is_running() -> None:
    assert Control().status == "running"


def test_a_run_that_has_not_reached_its_next_pulse_is_pausing() -> None:
    control = Control()
    control.pause()
    assert control.status == "pausing"


def test_a_run_that_waits_is_paused() -> None:
    with paused_run() as (control, _):
        assert control.status == "paused"


def test_a_paused_run_stays_where_it_is() -> None:
    with paused_run() as (_, run):
        run.join(0.05)
        assert run.is_alive()


def test_a_resumed_run_goes_on() -> None:
    with paused_run() as (control, run):
        control.resume()
        assert run.left()
        assert control.status == "running"


def test_a_resume_before_the_next_pulse_calls_the_pause_off() -> None:
    control = Control()
    control.pause()
    control.resume()
    assert control.status == "running"
    assert control.wait_while_paused() == 0


def test_a_run_may_be_paused_again() -> None:
    with paused_run() as (control, run):
        control.resume()
        assert run.left()
        control.pause()
        again = Run(control)
        again.start()
        assert eventually(lambda: control.status == "paused")


def test_a_stop_wakes_a_paused_run() -> None:
    with paused_run() as (control, run):
        control.stop()
        assert run.left()


@pytest.mark.parametrize("pause", [False, True])
def test_a_stopped_run_is_stopping_whether_it_was_paused_or_not(pause: bool) -> None:
    control = Control()
    if pause:
        control.pause()
    control.stop()
    assert control.status == "stopping"


def test_a_pause_after_a_stop_does_not_hold_the_run() -> None:
    control = Control()
    control.stop()
    control.pause()
    assert control.wait_while_paused() == 0


def test_a_stop_cannot_be_taken_back_by_a_resume() -> None:
    control = Control()
    control.stop()
    control.resume()
    assert control.stop_requested


@pytest.mark.parametrize("call", [Control.pause, Control.resume, Control.probe_now, Control.checkpoint_now])
def test_nothing_but_a_stop_requests_a_stop(call: Callable[[Control], None]) -> None:
    control = Control()
    call(control)
    assert not control.stop_requested


def test_a_run_that_is_not_paused_does_not_wait() -> None:
    assert Control().wait_while_paused() == 0


@every_request
def test_a_request_wakes_a_paused_run(ask: Callable[[Control], None]) -> None:
    with paused_run() as (control, run):
        ask(control)
        assert run.left()


@every_request
def test_a_paused_run_does_not_wait_while_a_request_is_pending(ask: Callable[[Control], None]) -> None:
    control = Control()
    control.pause()
    ask(control)
    assert control.wait_while_paused() == 0


@every_request
def test_a_paused_run_that_serves_a_request_is_pausing(ask: Callable[[Control], None]) -> None:
    with paused_run() as (control, run):
        ask(control)
        assert run.left()
        assert control.status == "pausing"


@every_request
def test_a_paused_run_waits_again_once_it_has_taken_the_request(ask: Callable[[Control], None]) -> None:
    with paused_run() as (control, run):
        ask(control)
        assert run.left()
        control.take_requests()
        again = Run(control)
        again.start()
        assert eventually(lambda: control.status == "paused")


def test_a_run_is_told_how_long_it_waited() -> None:
    with paused_run() as (control, run):
        time.sleep(0.05)
        control.resume()
        assert run.left()
        assert 0.05 <= run.waited < SOON


def test_nobody_asked_for_anything_at_first() -> None:
    assert Control().take_requests() == Requests()


def test_a_run_is_given_everything_that_was_asked_for() -> None:
    control = Control()
    control.probe_now()
    control.checkpoint_now()
    control.edit("probe.every_epochs", 2.0)
    assert control.take_requests() == Requests(True, True, (LiveEdit("probe.every_epochs", 2.0),))


@every_request
def test_taking_requests_clears_them(ask: Callable[[Control], None]) -> None:
    control = Control()
    ask(control)
    control.take_requests()
    assert control.take_requests() == Requests()


def test_taking_requests_does_not_end_a_pause() -> None:
    control = Control()
    control.pause()
    control.take_requests()
    assert control.status == "pausing"


def test_edits_are_handed_over_in_the_order_they_were_made() -> None:
    control = Control()
    for value in range(5):
        control.edit("features_optimizer.learning_rate", float(value))
    assert [edit.value for edit in control.take_requests().edits] == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_edits_from_many_threads_arrive_exactly_once() -> None:
    control = Control()
    taken: list[float] = []

    def ask(first: int) -> None:
        for value in range(first, first + 200):
            control.edit("features_optimizer.learning_rate", float(value))

    people = [threading.Thread(target=ask, args=(first,), daemon=True) for first in (0, 200, 400)]
    for person in people:
        person.start()
    while any(person.is_alive() for person in people):
        taken += [edit.value for edit in control.take_requests().edits]
    taken += [edit.value for edit in control.take_requests().edits]
    assert sorted(taken) == list(range(600))


def test_a_pause_comes_after_the_steps_that_were_asked_for() -> None:
    control = Control()
    control.pause_later(Later("steps", 2))
    control.passed("steps")
    control.passed("epoch", "phase")
    assert (control.status, control.later) == ("running", Later("steps", 1))
    control.passed("steps")
    assert (control.status, control.later) == ("pausing", None)


def test_a_pause_at_the_end_of_a_phase_waits_for_that() -> None:
    control = Control()
    control.pause_later(Later("phase"))
    control.passed("epoch")
    assert control.status == "running"
    control.passed("epoch", "phase")
    assert control.status == "pausing"


@pytest.mark.parametrize("ask", [Control.pause, Control.resume, Control.stop])
def test_what_is_asked_for_next_cancels_a_later_pause(ask: Callable[[Control], None]) -> None:
    control = Control()
    control.pause_later(Later("steps", 2))
    ask(control)
    assert control.later is None


def test_to_run_on_ends_a_pause() -> None:
    control = Control()
    control.pause()
    control.pause_later(Later("steps"))
    assert control.status == "running"
