import pytest

from claf_engine.events.control import Control, LiveEdit, Requests
from claf_engine.runs.inbox import NAMES, Received
from claf_engine.runs.requests import Request
from claf_engine.training.steering import Standing, served


def received(name: str, setting: str = "", value: float | None = None) -> Received:
    return Received(Request(name, "ab" * 16, "cd" * 16, "ann", "node1", 12, 1.5, setting, value))


def test_each_request_ends_as_a_call_on_control() -> None:
    control, standing = Control(), Standing(7)
    for name in ("pause", "probe", "checkpoint"):
        assert served(received(name), control, standing).is_accepted
    assert served(received("set", "learning_rate", 0.5), control, standing).is_accepted
    assert control.status == "pausing"
    assert control.take_requests() == Requests(probe=True, checkpoint=True, edits=(LiveEdit("learning_rate", 0.5),))
    served(received("resume"), control, standing)
    assert control.status == "running"
    served(received("stop"), control, standing)
    assert control.status == "stopping"


def test_the_answer_names_the_request_the_step_and_who_asked_when() -> None:
    event = served(received("set", "learning_rate", 0.5), Control(), Standing(7))
    assert (event.step, event.request, event.nonce) == (7, "set learning_rate=0.5", "ab" * 16)
    assert (event.who, event.at) == ("ann on node1, process 12", 1.5)


@pytest.mark.parametrize("name", NAMES)
def test_what_came_with_a_refusal_is_not_done(name: str) -> None:
    control = Control()
    event = served(Received(received(name).request, "no"), control, Standing(7))
    assert (event.is_accepted, event.answer) == (False, "no")
    assert (control.status, control.take_requests()) == ("running", Requests())


@pytest.mark.parametrize(
    ("request_", "standing", "reason"),
    [
        (received("probe"), Standing(7, is_trained=True), "training is over"),
        (received("set", "seed", 3), Standing(7), "seed cannot be set to 3 while the run goes on"),
        (received("set", "learning_rate", 0.0), Standing(7), "cannot be set"),
        (received("set", "learning_rate", 0.1), Standing(7, has_rate=False), "once the phase has taken a step"),
        (received("pause"), Standing(7, has_ended=True), "the run is over"),
    ],
)
def test_what_makes_no_sense_now_is_refused(request_: Received, standing: Standing, reason: str) -> None:
    control = Control()
    event = served(request_, control, standing)
    assert not event.is_accepted
    assert reason in event.answer
    assert (control.status, control.take_requests()) == ("running", Requests())


def test_a_stopping_run_takes_nothing_but_another_stop() -> None:
    control = Control()
    control.stop()
    assert served(received("pause"), control, Standing(7)).answer == "the run is stopping"
    assert served(received("stop"), control, Standing(7)).answer == "the run is stopping already"


def test_to_ask_for_what_is_so_already_is_no_mistake() -> None:
    control = Control()
    assert served(received("resume"), control, Standing(7)).answer == "the run was not paused"
    control.pause()
    assert served(received("pause"), control, Standing(7)).answer == "the run waits already"
