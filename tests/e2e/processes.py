"""Real processes of the command line, on a run small enough to be killed and resumed a dozen times."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def environment(folder: Path) -> dict[str, str]:
    """Where a process of a test keeps its runs."""
    return {**os.environ, "CLAF_RUNS_DIR": str(folder / "runs"), "CLAF_CACHE_DIR": str(folder / "cache"), "CI": "true"}


def claf(folder: Path, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [sys.executable, "-m", "claf_tui", *arguments]
    return subprocess.run(
        command, env=environment(folder), capture_output=True, text=True, timeout=timeout, check=False
    )


def train_until(folder: Path, arguments: list[str], step: int | None) -> tuple[int, int]:
    """Train in a process of its own and kill it with SIGKILL as soon as it has logged a step.

    Returns:
        Its return code, and the last step it logged.
    """
    command = [sys.executable, "-m", "claf_tui", "train", "--ui", "jsonl", *arguments]
    with (folder / "stderr").open("ab") as errors:
        process = subprocess.Popen(command, env=environment(folder), stdout=subprocess.PIPE, stderr=errors)
        last = 0
        assert process.stdout is not None
        for line in process.stdout:
            record = json.loads(line)
            if record["type"] == "StepLogged":
                last = record["step"]
                if step is not None and last >= step:
                    process.send_signal(signal.SIGKILL)
                    break
        process.stdout.close()
        return process.wait(120), last


def metrics(run: Path) -> list[dict[str, Any]]:
    """The records of a run's metrics without what depends on the clock."""
    timed = {"elapsed", "images_per_second", "seconds", "seq"}
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in timed} for line in lines]
