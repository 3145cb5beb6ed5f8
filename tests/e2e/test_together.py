"""Two processes of torchrun: paused and asked for a probe by a third one, one of them killed, and gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from claf_engine.runs import summarise
from claf_engine.runs.journal import EVENTS, read_records
from tests.e2e.kills import begun, outcome
from tests.e2e.processes import Nursery, claf, environment, metrics

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KILLED_AT = 8
"""In the middle of the third epoch, between two checkpoints."""


@dataclass
class Together:
    """A run of two processes.

    Attributes:
        events: what it said, as it came.
        code: the exit code of torchrun.
    """

    run: Path
    process: "subprocess.Popen[str]"
    events: list[dict[str, Any]] = field(default_factory=list)
    code: int | None = None

    def until(self, kind: str, step: int = 0) -> dict[str, Any]:
        """Read what it says until an event of a kind, of this step or a later one."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["type"] == kind and self.events[-1].get("step", step) >= step:
                return self.events[-1]
        self.end()
        raise AssertionError(f"no {kind}: {self.events[-3:]}")

    def end(self) -> None:
        """Read it to its end."""
        assert self.process.stdout is not None
        with self.process.stdout:
            self.events += [json.loads(line) for line in self.process.stdout]
        self.code = self.process.wait(60)

    def worker(self, rank: int) -> int:
        """The number of one of its processes."""
        children = psutil.Process(self.process.pid).children()
        return next(child.pid for child in children if child.environ().get("RANK") == str(rank))

    def told(self) -> list[str]:
        """Its notices."""
        return [event["text"] for event in self.events if event["type"] == "Notice"]


def start(folder: Path, name: str) -> Together:
    """Start a run of two processes that torchrun may start anew once."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    command = [*torchrun, "-m", "claf_tui", *begun(folder, "claf", name)]
    errors = folder / f"{name}.err"
    with errors.open("w") as stderr:
        process = subprocess.Popen(command, env=environment(folder), stdout=subprocess.PIPE, stderr=stderr, text=True)
    together = Together(Path(), process)
    try:
        together.run = folder / "runs" / str(together.until("RunStarted")["run"])
    except AssertionError as error:
        raise AssertionError(errors.read_text()) from error
    return together


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Together:
    together = start(tmp_path_factory.mktemp("undisturbed"), "undisturbed")
    together.end()
    return together


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Together:
    folder = tmp_path_factory.mktemp("disturbed")
    together = start(folder, "disturbed")
    together.until("StepLogged")
    asked = claf(folder, "steer", "disturbed", "pause")
    assert asked.returncode == 0, asked.stderr
    together.until("ControlChanged")
    together.paused = [metrics(together.run), _after(1.5, together.run)]  # type: ignore[attr-defined]
    together.status = summarise(together.run).status  # type: ignore[attr-defined]
    assert claf(folder, "steer", "disturbed", "resume").returncode == 0
    together.until("StepLogged", KILLED_AT)
    os.kill(together.worker(1), signal.SIGKILL)
    together.end()
    return together


def _after(seconds: float, run: Path) -> list[dict[str, Any]]:
    time.sleep(seconds)
    return metrics(run)


def test_a_third_process_pauses_all_of_them(disturbed: Together) -> None:
    before, after = disturbed.paused  # type: ignore[attr-defined]
    assert before == after
    assert disturbed.status == "paused"  # type: ignore[attr-defined]


def test_after_a_death_all_go_on_in_the_same_folder_and_say_so(disturbed: Together) -> None:
    first, second = [event for event in disturbed.events if event["type"] == "RunStarted"]
    assert first["run"] == second["run"]
    assert first["resumed_from_step"] is None
    assert second["resumed_from_step"] >= KILLED_AT
    assert [path.name for path in disturbed.run.parent.iterdir()] == [disturbed.run.name]
    assert (
        "torchrun started the run anew, now in 2 processes: it goes on from its newest checkpoint" in disturbed.told()
    )


def test_the_run_ends_as_if_nobody_had_been_killed(disturbed: Together, undisturbed: Together) -> None:
    assert (disturbed.code, undisturbed.code) == (0, 0)
    assert outcome(disturbed.run) == outcome(undisturbed.run)


def test_one_process_writes_and_says_how_many_there_are(undisturbed: Together) -> None:
    record = json.loads((undisturbed.run / "run.json").read_text())
    assert record["launch"]["processes"] == 2
    assert undisturbed.events[0]["device"] == "cpu, 2 processes"
    records = list(read_records(undisturbed.run / EVENTS))
    assert [record["type"] for record in records].count("RunStarted") == 1


def test_a_run_of_two_processes_goes_on_in_one_and_says_that_it_is_not_the_same(
    tmp_path: Path, nursery: Nursery
) -> None:
    together = start(tmp_path, "smaller")
    together.until("StepLogged", 3)
    together.process.terminate()
    together.end()
    assert together.events[-1]["status"] == "stopped"
    resumed = nursery.claf(tmp_path, "train", "--ui", "plain", "--resume", "smaller")
    assert resumed.returncode == 0, resumed.stderr
    assert "(processes was 2, is 1): it will not be bit-identical" in resumed.stderr
