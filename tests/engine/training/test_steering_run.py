"""A run that is steered through files in its folder, as another process does it."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.runs import create_run, list_checkpoints, open_run
from claf_engine.runs.asking import ask
from claf_engine.runs.journal import read_events
from claf_engine.runs.requests import CONTROL
from tests.engine.tiny import React, all_of, play, tiny_config, use_tiny_data, without_clock


@pytest.fixture(autouse=True, scope="module")
def _tiny_data() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_data(monkeypatch, num_train=16)
        yield


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run look at every pulse for what is asked: it is over in less than a second."""
    monkeypatch.setattr("claf_engine.training.conductor.INBOX_SECONDS", 0.0)


CONFIG = tiny_config(
    method="natural",
    supervised__epochs=4,
    probe={"every_epochs": 0, "num_examples": 4, "epsilons": ["8/255"], "steps": 1},
    evaluation={"epsilons": ["8/255"], "steps": 1, "num_examples": 4},
)


def asking(folder: Path, *requests: tuple[object, ...], step: int = 3) -> React:
    """Asks for several things one after the other, once a run has logged a step."""

    def react(event: ev.Event, _control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == step:
            for request in requests:
                ask(folder, *request)  # type: ignore[arg-type]

    return react


def resuming(folder: Path, delay: float = 0.0) -> React:
    """Asks a run to go on as soon as it is paused, or a while later."""

    def react(event: ev.Event, _control: Control) -> None:
        if isinstance(event, ev.ControlChanged) and event.status == "paused":
            threading.Timer(delay, ask, (folder, "resume")).start()

    return react


def last_weights(events: list[ev.Event]) -> list[str]:
    finished = events[-1]
    assert isinstance(finished, ev.RunFinished)
    return [result.weights_sha256 for result in finished.results if result.checkpoint == "last"]


def answers(events: list[ev.Event]) -> list[tuple[str, bool, str]]:
    return [(event.request, event.is_accepted, event.answer) for event in events if isinstance(event, ev.RequestServed)]


@pytest.mark.usefixtures("eager")
def test_a_run_that_is_paused_probed_and_saved_from_elsewhere_computes_the_same(tmp_path: Path) -> None:
    calm = play(create_run(tmp_path, "calm", CONFIG, []))
    directory = create_run(tmp_path, "steered", CONFIG, [])
    steered = asking(directory.path, ("probe",), ("checkpoint",), ("pause",))
    events = play(directory, all_of(steered, resuming(directory.path)))
    assert [request for request, is_accepted, _ in answers(events) if is_accepted] == [
        "probe",
        "checkpoint",
        "pause",
        "resume",
    ]
    assert [event.status for event in events if isinstance(event, ev.ControlChanged)] == ["paused", "resumed"]
    assert [event.step for event in events if isinstance(event, ev.ProbeFinished) and event.requested] == [3]
    assert "requested" in {reason for entry in list_checkpoints(directory.path) for reason in entry.kept_as}
    assert without_clock(events, ev.StepLogged) == without_clock(calm, ev.StepLogged)
    assert last_weights(events) == last_weights(calm)


@pytest.mark.usefixtures("eager")
def test_every_answer_is_in_the_journal_once(tmp_path: Path) -> None:
    directory = create_run(tmp_path, "steered", CONFIG, [])
    events = play(directory, asking(directory.path, ("probe",), ("set", "probe.every_epochs", 2.0), ("set", "seed", 3)))
    told = answers(read_events(directory.path))
    assert told == answers(events)
    assert [(request, is_accepted) for request, is_accepted, _ in told] == [
        ("probe", True),
        ("set probe.every_epochs=2", True),
        ("set seed=3", False),
    ]
    assert os.listdir(directory.path / CONTROL) == []


@pytest.mark.usefixtures("eager")
def test_a_stop_from_elsewhere_saves_and_ends(tmp_path: Path) -> None:
    directory = create_run(tmp_path, "steered", CONFIG, [])
    events = play(directory, asking(directory.path, ("stop",)))
    assert events[-1].status == "stopped"  # type: ignore[union-attr]
    assert list_checkpoints(directory.path)[0].info.step == 3  # type: ignore[union-attr]


def test_a_paused_run_hears_within_a_second(tmp_path: Path) -> None:
    directory = create_run(tmp_path, "steered", CONFIG, [])
    asked: list[float] = []

    def steer(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == 2:
            control.pause()
        if isinstance(event, ev.ControlChanged) and event.status == "paused":
            threading.Timer(0.1, lambda: (asked.append(time.monotonic()), ask(directory.path, "resume"))).start()
        if isinstance(event, ev.RequestServed):
            asked.append(time.monotonic())

    play(directory, steer)
    assert len(asked) == 2
    assert asked[1] - asked[0] < 1


def test_a_paused_run_says_so_in_its_status_at_once(tmp_path: Path) -> None:
    directory = create_run(tmp_path, "steered", CONFIG, [])
    seen: list[str] = []

    def steer(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == 2:
            control.pause()
        if isinstance(event, ev.ControlChanged) and event.status == "paused":
            threading.Timer(0.2, look, (control,)).start()

    def look(control: Control) -> None:
        seen.append((directory.path / "status.json").read_text())
        control.resume()

    play(directory, steer)
    assert '"status": "paused"' in seen[0]


def test_what_is_asked_when_all_is_over_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_engine.training.conductor.INBOX_SECONDS", 1e9)
    directory = create_run(tmp_path, "steered", CONFIG, [])
    assert answers(play(directory, asking(directory.path, ("pause",)))) == [("pause", False, "the run is over")]


@pytest.mark.usefixtures("eager")
def test_what_an_earlier_process_was_asked_is_refused_by_the_next_one(tmp_path: Path) -> None:
    directory = create_run(tmp_path, "steered", CONFIG, [])
    play(directory, asking(directory.path, ("stop",)))
    before = open_run(directory.path)
    ask(before.path, "stop")
    before.close()
    events = play(open_run(directory.path))
    ((request, is_accepted, answer),) = answers(events)
    assert (request, is_accepted) == ("stop", False)
    assert "meant for a process that has trained in this run before" in answer
    assert events[-1].status == "finished"  # type: ignore[union-attr]


@pytest.mark.usefixtures("eager")
def test_a_folder_of_requests_that_cannot_be_read_is_told_once_and_training_goes_on(tmp_path: Path) -> None:
    directory = create_run(tmp_path, "steered", CONFIG, [])
    (directory.path / CONTROL).symlink_to(tmp_path)
    events = play(directory)
    told = [event.text for event in events if isinstance(event, ev.Notice) and "other processes ask" in event.text]
    assert len(told) == 1
    assert "training goes on" in told[0]
    assert events[-1].status == "finished"  # type: ignore[union-attr]
