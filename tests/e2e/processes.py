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
log_every = 1
"""


NURSERY = """
import json, os, sys
import torch._dynamo  # the first optimiser would load it
import claf_engine.training.run
from claf_tui import cli
for line in sys.stdin:
    arguments, events, errors = json.loads(line)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(events, os.O_WRONLY), 1)
        os.dup2(os.open(errors, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
        cli.main(arguments)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Has torch loaded, and forks a process for each command: seconds less than an interpreter of its own for each."""


def environment(folder: Path) -> dict[str, str]:
    """Where a process of a test keeps its runs."""
    return {**os.environ, "CLAF_RUNS_DIR": str(folder / "runs"), "CLAF_CACHE_DIR": str(folder / "cache"), "CI": "true"}


def claf(folder: Path, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
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
    """Trains in processes that are forked from one that has torch loaded, and kills them."""

    def __init__(self, folder: Path, process: "subprocess.Popen[str]") -> None:
        self.folder, self.process = folder, process
        self.events = folder / "events"
        os.mkfifo(self.events)

    def train_until(self, arguments: list[str], step: int) -> int:
        """Train, and kill with SIGKILL as soon as a step is logged; gives the return code."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        train = ["train", "--ui", "jsonl", *arguments]
        self.process.stdin.write(json.dumps([train, str(self.events), str(self.folder / "stderr")]) + "\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        with self.events.open() as events:
            wait_for_step(events, step)
            os.kill(child, signal.SIGKILL)
        return int(self.process.stdout.readline())


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """A nursery for runs in this folder."""
    command = [sys.executable, "-c", NURSERY]
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
