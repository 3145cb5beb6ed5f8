"""A run that streams its images, killed at any moment: its workers end, and it goes on to the same bits."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from claf_engine.runs import list_checkpoints
from tests.e2e.processes import SETTINGS, Nursery, environment, wait_for_step
from tests.engine.pictures import write_folder

WORKERS_END_WITHIN = 20
"""Seconds; torch's workers look every five whether who began them is there."""


def arguments_of(folder: Path, resident: str) -> list[str]:
    settings = ["data.num_train=none", "data.num_test=none", "data.num_validation=16", "data.workers=2"]
    settings += [
        f"data.resident={resident}",
        "contrastive.epochs=2",
        "adversarial.epochs=1",
        "linear_evaluation.epochs=2",
    ]
    options = [word for setting in settings for word in ("--set", setting)]
    return ["train", "--config", str(folder / "tiny.toml"), "--data", f"folder:{folder / 'pictures'}", *options]


def weights(folder: Path, run: str) -> str:
    (path,) = (folder / "runs").glob(f"*-{run}")
    newest = list_checkpoints(path)[0]
    assert newest.info is not None
    return newest.info.weights_sha256


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_run_that_streams_leaves_no_process_and_ends_bit_identical(tmp_path: Path, nursery: Nursery) -> None:
    (tmp_path / "tiny.toml").write_text(SETTINGS)
    write_folder(tmp_path / "pictures", {"train": 48, "test": 8}, num_classes=3)
    held = nursery.claf(tmp_path, *arguments_of(tmp_path, "always"), "--name", "held", "--ui", "plain")
    assert held.returncode == 0, held.stderr
    command = [sys.executable, "-m", "claf_tui", *arguments_of(tmp_path, "never"), "--name", "killed", "--ui", "jsonl"]
    with subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        wait_for_step(process.stdout, 7)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
    assert len(workers) >= 2
    until = time.monotonic() + WORKERS_END_WITHIN
    while any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers):
        assert time.monotonic() < until, "a worker lives on"
        time.sleep(0.2)
    resumed = nursery.claf(tmp_path, "train", "--resume", "killed", "--ui", "jsonl")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout.splitlines()[-1])["status"] == "finished"
    assert weights(tmp_path, "killed") == weights(tmp_path, "held")
