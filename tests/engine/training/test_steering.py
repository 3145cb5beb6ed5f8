from dataclasses import replace

import pytest

from claf_engine.events.control import Control, Later, LiveEdit, Requests
from claf_engine.runs.inbox import NAMES, Received
from claf_engine.runs.requests import Request
from claf_engine.training.live_edits import Trained
from claf_engine.training.methods import phases_of
from claf_engine.training.state import Cursor
from claf_engine.training.steering import Standing, served
from tests.engine.tiny import tiny_config

EDIT = LiveEdit("learning_rate", 0.5, "ann on node1, process 12", 1.5)


CONFIG = tiny_config()
TRAINED = Trained(CONFIG, phases_of(CONFIG), Cursor(), rate=0.1)
NOW = Standing(7, TRAINED)


def received(name: str, setting: str = "", value: float | None = None) -> Received:
    return Received(Request(name, "ab" * 16, "cd" * 16, "ann", "node1", 12, 1.5, setting, value))


def test_each_request_ends_as_a_call_on_control() -> None:
    control, standing = Control(), NOW
    for name in ("pause", "probe", "checkpoint"):
        assert served(received(name), control, standing).is_accepted
    assert served(received("set", "learning_rate", 0.5), control, standing).is_accepted
    assert control.status == "pausing"
    assert control.take_requests() == Requests(probe=True, checkpoint=True, edits=(EDIT,))
    served(received("resume"), control, standing)
    assert control.status == "running"
    served(received("stop"), control, standing)
    assert control.status == "stopping"


def test_the_answer_names_the_request_the_step_and_who_asked_when() -> None:
    event = served(received("set", "learning_rate", 0.5), Control(), NOW)
    assert (event.step, event.request, event.nonce) == (7, "set learning_rate=0.5", "ab" * 16)
    assert (event.who, event.at) == ("ann on node1, process 12", 1.5)


@pytest.mark.parametrize("name", NAMES)
def test_what_came_with_a_refusal_is_not_done(name: str) -> None:
    control = Control()
    event = served(Received(received(name).request, "no"), control, NOW)
    assert (event.is_accepted, event.answer) == (False, "no")
    assert (control.status, control.take_requests()) == ("running", Requests())


@pytest.mark.parametrize(
    ("request_", "standing", "reason"),
    [
        (received("probe"), Standing(7, None), "training is over"),
        (received("pause-later", "epoch"), Standing(7, None), "training is over"),
        (received("set", "seed", 3), NOW, "seed cannot be set while the run goes on"),
        (received("set", "learning_rate", 0.0), NOW, "learning_rate must be greater than 0, not 0.0"),
        (received("set", "learning_rate", 0.1), Standing(7, replace(TRAINED, rate=None)), "phase has taken a step"),
        (received("pause"), Standing(7, None, has_ended=True), "the run is over"),
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
    assert served(received("pause"), control, NOW).answer == "the run is stopping"
    assert served(received("stop"), control, NOW).answer == "the run is stopping already"


def test_to_ask_for_what_is_so_already_is_no_mistake() -> None:
    control = Control()
    assert served(received("resume"), control, NOW).answer == "the run was not paused"
    control.pause()
    assert served(received("pause"), control, NOW).answer == "the run waits already"


@pytest.mark.parametrize(
    ("setting", "value", "later", "answer"),
    [
        ("steps", 12.0, Later("steps", 12), "the run waits after 12 more steps"),
        ("epoch", None, Later("epoch"), "the run waits at the end of the epoch"),
    ],
)
def test_a_pause_may_come_later(setting: str, value: float | None, later: Later, answer: str) -> None:
    control = Control()
    event = served(received("pause-later", setting, value), control, NOW)
    assert (event.answer, control.later, control.status) == (answer, later, "running")
    served(received("resume"), control, NOW)
    assert control.later is None
