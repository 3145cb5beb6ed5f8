"""Real processes of the command line, on a run small enough to be killed and resumed a dozen times."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
SETTINGS = """
batch_size = 32
[data]
num_train = 128
num_validation = 32
num_test = 32
[model]
width = 4
blocks = [1, 1]
projection_hidden = 16
projection_dim = 8
[features_optimizer]
learning_rate = 0.05
[contrastive]
epochs = 5
temperature = 0.2
[adversarial]
epochs = 3
classifier_epochs = 2
[attack]
steps = 2
[linear_evaluation]
epochs = 60
adversarial_epochs = 2
adversarial_steps = 2
[probe]
every_epochs = 2
num_examples = 16
steps = 2
fit_epochs = 2
[evaluation]
steps = 2
[checkpoint]
every_steps = 3
min_seconds = 0
[runtime]
threads = 1
precision = "fp32"
layout = "channels_last"
log_every = 1
"""
"""Precision and layout are said: choosing them takes seconds, and may end otherwise in the next process."""


LOADING = """
import json, os, sys
import torch._dynamo  # the first optimiser would load it
import claf_engine.training.run
import claf_tui.runners.train
from tests.disks import spare_disks
spare_disks()
"""
SERVING = """
import gc
from claf_tui import cli
gc.freeze()
for line in sys.stdin:
    arguments, variables, first, output, errors = json.loads(line)
    child = os.fork()
    if child == 0:
        os.environ.update(variables)
        sys.argv = ["claf-tui", *arguments]
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(output, os.O_WRONLY), 1)
        os.dup2(os.open(errors, os.O_WRONLY | os.O_APPEND), 2)
        exec(first)
        try:
            cli.main(arguments)
        except SystemExit as left:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(left.code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Has torch loaded, and forks a process for each command: seconds less than an interpreter of its own for each.

A process leaves without taking torch down, which takes longer than the command.
"""


def places(folder: Path) -> dict[str, str]:
    """Where a process of a test keeps its runs."""
    return {"CLAF_RUNS_DIR": str(folder / "runs"), "CLAF_CACHE_DIR": str(folder / "cache")}


def environment(folder: Path) -> dict[str, str]:
    """The variables of a process of a test."""
    return {**os.environ, **places(folder), "CI": "true", "PYTHONPATH": str(ROOT)}


def claf(folder: Path, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in an interpreter of its own; its runs lie in the folder."""
    command = [sys.executable, "-m", "claf_tui", *arguments]
    return subprocess.run(
        command, env=environment(folder), capture_output=True, text=True, timeout=timeout, check=False
    )


def wait_for_step(events: IO[str], step: int) -> None:
    """Read the events of a run until it has logged a step, or to their end."""
    for line in events:
        record = json.loads(line)
        if record["type"] == "StepLogged" and record["step"] >= step:
            return


class Nursery:
    """Runs commands in processes that are forked from one that has torch loaded, one at a time."""

    def __init__(self, folder: Path, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.events, self.output, self.errors = folder / "events", folder / "stdout", folder / "stderr"
        os.mkfifo(self.events)

    def claf(self, folder: Path, *arguments: str, first: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its runs lie in the folder; `first` is Python that its process runs before it."""
        self.output.write_text("")
        self._fork(folder, arguments, self.output, first)
        code = self._read()
        return subprocess.CompletedProcess(arguments, code, self.output.read_text(), self.errors.read_text())

    def claf_until(self, step: int, folder: Path, *arguments: str, first: str = "") -> int:
        """Run a command, and kill it with SIGKILL as soon as it has logged a step; gives the return code."""
        child = self._fork(folder, (*arguments, "--ui", "jsonl"), self.events, first)
        with self.events.open() as events:
            wait_for_step(events, step)
            os.kill(child, signal.SIGKILL)
        return self._read()

    def _fork(self, folder: Path, arguments: tuple[str, ...], output: Path, first: str = "") -> int:
        assert self.process.stdin is not None
        self.errors.write_text("")
        asked = [arguments, places(folder), first, str(output), str(self.errors)]
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())


@contextmanager
def begin_nursery(folder: Path) -> Iterator[Nursery]:
    """A nursery that keeps its pipes in this folder."""
    command = [sys.executable, "-c", LOADING + SERVING]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment(folder), stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield Nursery(folder, process)
        finally:
            process.kill()


def metrics(run: Path) -> list[dict[str, Any]]:
    """The records of a run's metrics without what depends on the clock."""
    timed = {"elapsed", "images_per_second", "seconds", "seq"}
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in timed} for line in lines]
