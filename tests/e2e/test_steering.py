"""A run in one process, steered from others through its folder."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from claf_engine import events as ev
from claf_engine.runs.journal import read_events
from tests.e2e.processes import SETTINGS, claf, environment

LONG = ["--method", "natural", "--set", "supervised.epochs=100000"]
WATCHER = """
import sys
from pathlib import Path
from claf_engine.runs.asking import answer_to, ask
for _ in range(4):
    asked = ask(Path(sys.argv[1]), "checkpoint")
    assert answer_to(asked, 60).nonce == asked.request.nonce
    print(asked.request.nonce)
"""


def until(claim: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not claim():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.02)


def status(run: Path) -> str:
    return str(json.loads((run / "status.json").read_text()).get("status"))


def served(run: Path) -> list[ev.RequestServed]:
    return [event for event in read_events(run) if isinstance(event, ev.RequestServed)]


@contextmanager
def training(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that trains without a console."""
    command = [sys.executable, "-m", "claf_tui", "train", "--ui", "jsonl", *arguments]
    pipe = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment(folder), stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_a_run_is_steered_from_other_processes_and_its_successor_refuses_what_it_left(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(SETTINGS)
    with training(tmp_path, "--config", str(tmp_path / "tiny.toml"), "--name", "steered", *LONG) as process:
        until(lambda: any((tmp_path / "runs").glob("*-steered/checkpoints/step-*")))
        (run,) = (tmp_path / "runs").iterdir()
        pause_and_go_on(tmp_path, run)
        two_watch_at_once(tmp_path, run)
        die_with_a_request(tmp_path, process)
    num_served = len(served(run))
    with training(tmp_path, "--resume", "steered") as process:
        until(lambda: any(not answer.is_accepted for answer in served(run)))
        assert claf(tmp_path, "steer", "steered", "stop").returncode == 0
        assert process.wait(60) == 0
    refused = [answer for answer in served(run) if not answer.is_accepted]
    assert [(answer.request, "trained in this run before" in answer.answer) for answer in refused] == [("stop", True)]
    assert served(run)[-1].is_accepted
    assert num_served
    assert os.listdir(run / "control") == []


def pause_and_go_on(folder: Path, run: Path) -> None:
    assert claf(folder, "steer", "steered", "pause").returncode == 0
    until(lambda: status(run) == "paused")
    size = (run / "metrics.jsonl").stat().st_size
    assert "paused" in claf(folder, "runs").stdout
    assert (run / "metrics.jsonl").stat().st_size == size
    assert claf(folder, "steer", "steered", "resume").returncode == 0
    until(lambda: (run / "metrics.jsonl").stat().st_size > size)


def two_watch_at_once(folder: Path, run: Path) -> None:
    """Each of their requests is answered, once, and to the one who asked."""
    command: Any = [sys.executable, "-c", WATCHER, str(run)]
    watchers = [subprocess.Popen(command, env=environment(folder), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [watcher.communicate(timeout=100)[0].split() for watcher in watchers]
    assert [watcher.returncode for watcher in watchers] == [0, 0]
    heard = [answer.nonce for answer in served(run) if answer.request == "checkpoint"]
    assert sorted(heard) == sorted(told[0] + told[1])
    assert len(heard) == 8


def die_with_a_request(folder: Path, process: "subprocess.Popen[str]") -> None:
    """Killed before it looks, as by a machine that goes down."""
    process.send_signal(signal.SIGSTOP)
    assert claf(folder, "steer", "steered", "stop", "--wait", "0").returncode == 0
    process.kill()
    process.wait()
