import threading
import time
from collections.abc import Iterator

import pytest

from claf_engine.events.control import Control, Later
from claf_engine.runs import RunDirectory
from claf_engine.runs.inbox import Received
from claf_engine.runs.journal import Journal
from claf_engine.terms.errors import NotAnswered, RequestRefused
from claf_engine.training.live_edits import Trained
from claf_engine.training.methods import phases_of
from claf_engine.training.state import Cursor
from claf_engine.training.steering import Standing, served
from claf_tui import cli
from claf_tui.words import exit_codes
from tests.engine.tiny import tiny_config

Shown = pytest.CaptureFixture[str]
CONFIG = tiny_config()
TRAINED = Trained(CONFIG, phases_of(CONFIG), Cursor(), rate=0.1)


@pytest.fixture
def control(run: RunDirectory) -> Iterator[Control]:
    """Of a run that serves what it is asked at step 7, in a thread in place of its process."""
    control, is_over, journal = Control(), threading.Event(), Journal(run.path)
    journal.open()

    def serve() -> None:
        while not is_over.is_set():
            received: list[Received] = run.inbox.take(run.path)
            for one in received:
                journal.append(served(one, control, Standing(7, TRAINED)))
            time.sleep(0.02)

    thread = threading.Thread(target=serve)
    thread.start()
    yield control
    is_over.set()
    thread.join()
    journal.close()


def test_the_answer_is_printed(control: Control, run: RunDirectory, capsys: Shown) -> None:
    assert cli.run(["steer", "demo", "pause"]) == 0
    assert control.status == "pausing"
    assert capsys.readouterr().out == f"{run.path.name} accepted pause at step 7: the run waits from here on\n"


def test_a_value_is_set(control: Control) -> None:
    assert cli.run(["steer", "latest", "set", "learning_rate=0.25"]) == 0
    ((edit,),) = [control.take_requests().edits]
    assert (edit.name, edit.value) == ("learning_rate", 0.25)


def test_a_refusal_has_its_own_exit_code_and_reason(control: Control, capsys: Shown) -> None:
    control.stop()
    assert cli.run(["steer", "demo", "probe"]) == exit_codes.REFUSED == RequestRefused.exit_code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "refused probe at step 7: the run is stopping" in shown.err


def test_a_run_that_does_not_answer_has_its_own_exit_code(run: RunDirectory, capsys: Shown) -> None:
    assert cli.run(["steer", "demo", "pause", "--wait", "0.01"]) == exit_codes.NOT_ANSWERED == NotAnswered.exit_code
    assert "did not answer 'pause' within 0.01 s" in capsys.readouterr().err
    assert run.inbox.take(run.path) == []


def test_without_waiting_the_request_is_left(run: RunDirectory, capsys: Shown) -> None:
    assert cli.run(["steer", "demo", "stop", "--wait", "0"]) == 0
    assert capsys.readouterr().err == f"asked {run.path.name} to stop; its answer will be in its journal\n"
    assert [received.request.name for received in run.inbox.take(run.path)] == ["stop"]


def test_a_run_that_nobody_trains_says_how_to_go_on(run: RunDirectory, capsys: Shown) -> None:
    run.close()
    assert cli.run(["steer", "demo", "pause"]) == exit_codes.NOT_ANSWERED
    assert f"no process trains in {run.path.name}; `claf-tui train --resume" in capsys.readouterr().err


def test_a_finished_run_is_not_offered_to_be_resumed(run: RunDirectory, capsys: Shown) -> None:
    run.write_status({"status": "finished"})
    run.close()
    assert cli.run(["steer", "demo", "pause"]) == exit_codes.NOT_ANSWERED
    assert capsys.readouterr().err == f"error: run {run.path.name} is finished, and no process trains in it\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["set"],
        ["pause", "learning_rate=0.1"],
        ["set", "seed=3"],
        ["dance"],
        [],
        ["pause", "--wait", "-1"],
        ["pause", "--at", "day"],
        ["resume", "--at", "epoch"],
        ["pause", "--after-steps", "0"],
        ["pause", "--after-steps", "2", "--at", "phase"],
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_written(
    run: RunDirectory, capsys: Shown, arguments: list[str]
) -> None:
    assert cli.run(["steer", "demo", *arguments]) == exit_codes.USAGE
    assert capsys.readouterr().err.count("\n") == 1
    assert not (run.path / "control").exists()


@pytest.mark.parametrize(
    ("options", "later"),
    [
        (["--after-steps", "12"], Later("steps", 12)),
        (["--at", "epoch"], Later("epoch")),
        (["--at", "phase"], Later("phase")),
    ],
)
def test_a_pause_may_be_asked_for_later(control: Control, options: list[str], later: Later, capsys: Shown) -> None:
    assert cli.run(["steer", "latest", "pause", *options]) == 0
    assert (control.later, control.status) == (later, "running")
    assert f"the run waits {later.text}" in capsys.readouterr().out


def test_radii_are_set_as_a_person_writes_them(control: Control) -> None:
    assert cli.run(["steer", "latest", "set", "probe.epsilons=8/255, 4/255"]) == 0
    ((edit,),) = [control.take_requests().edits]
    assert (edit.name, edit.value) == ("probe.epsilons", "8/255, 4/255")
