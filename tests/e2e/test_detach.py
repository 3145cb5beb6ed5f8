"""Runs that outlive the terminal they were begun in: their console's, and that of `--detach`."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from claf_engine.runs import find_checkpoint, is_live, summarise
from claf_engine.runs.header import read_info
from tests.e2e.processes import SETTINGS, Nursery, claf, environment, metrics
from tests.tui.consoles import HANG

RUN = ["--method", "natural", "--set", "supervised.epochs=12", "--set", "probe.every_epochs=6"]
PATIENCE = 4 * HANG
needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Tmux:
    """A tmux server of its own with one window of 100 x 30 in which a command runs."""

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self.folder = folder
        self.socket = str(folder / "tmux")
        words = [f"{name}={value}" for name, value in environment(folder).items() if name != "CI"]
        line = shlex.join(["env", "-i", *words, "TERM=screen-256color", *command])
        self.run("new-session", "-d", "-x", "100", "-y", "30", line)

    def run(self, *words: str) -> str:
        """Ask the server for something."""
        asked = ["tmux", "-S", self.socket, "-f", "/dev/null", *words]
        variables = {name: value for name, value in os.environ.items() if name != "TMUX"}
        return subprocess.run(asked, env=variables, capture_output=True, text=True, check=False).stdout

    def until(self, text: str) -> None:
        """Wait until the window shows a text."""
        deadline = time.monotonic() + PATIENCE
        while text not in (shown := self.run("capture-pane", "-p")):
            assert time.monotonic() < deadline, shown
            time.sleep(0.1)


@contextmanager
def console_in_tmux(folder: Path, *arguments: str) -> Iterator[Tmux]:
    """A run in the console, paused in the middle; the server is killed in the end at the latest."""
    (folder / "tiny.toml").write_text(SETTINGS)
    command = [sys.executable, "-m", "claf_tui", "train", "--config", str(folder / "tiny.toml"), *RUN, *arguments]
    window = Tmux(folder, command)
    try:
        window.until("RUNNING")
        window.run("send-keys", "Space")
        window.until("PAUSED")
        yield window
    finally:
        window.run("kill-server")


def ended(run: Path) -> str:
    """How a run has ended, once it has, and no process holds it: one that goes on has read how the one before ended."""
    deadline = time.monotonic() + PATIENCE
    going_on = ("starting", "running", "paused", "stopping", "interrupted")
    while is_live(run) or (status := summarise(run).status) in going_on:
        assert time.monotonic() < deadline, summarise(run).status
        time.sleep(0.1)
    return status


def result(run: Path) -> tuple[list[dict[str, Any]], object]:
    """What a run has logged, and its final weights."""
    return metrics(run), read_info(find_checkpoint(str(run), run.parent, "last")).metadata["claf.weights_sha256"]


@pytest.fixture(scope="module")
def untouched(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], object]:
    """The result of the same run in lines, which nobody disturbs."""
    folder = tmp_path_factory.mktemp("untouched")
    (folder / "tiny.toml").write_text(SETTINGS)
    arguments = ["--config", str(folder / "tiny.toml"), *RUN]
    assert nursery.claf(folder, "train", *arguments).returncode == 0
    (run,) = (folder / "runs").iterdir()
    return result(run)


@needs_tmux
@pytest.mark.slow
def test_a_run_that_is_left_when_its_tmux_server_dies_ends_as_an_untouched_one(
    tmp_path: Path, untouched: tuple[list[dict[str, Any]], object]
) -> None:
    with console_in_tmux(tmp_path, "--on-hangup", "leave") as window:
        (run,) = (tmp_path / "runs").iterdir()
        window.run("kill-server")
        time.sleep(1)
        assert summarise(run).status == "paused"
        assert claf(tmp_path, "steer", run.name, "resume", "--wait", "60").returncode == 0
        watched = claf(tmp_path, "watch", run.name, timeout=PATIENCE)
    assert "run finished" in watched.stderr
    assert ended(run) == "finished"
    assert result(run) == untouched


@needs_tmux
@pytest.mark.slow
def test_without_that_option_the_death_of_the_tmux_server_ends_the_run_saved(tmp_path: Path) -> None:
    with console_in_tmux(tmp_path) as window:
        (run,) = (tmp_path / "runs").iterdir()
        assert summarise(run).status == "paused"
        window.run("kill-server")
        assert ended(run) == "stopped"
    assert list((run / "checkpoints").glob("step-*"))


@needs_tmux
@pytest.mark.slow
def test_a_run_that_is_left_running_ends_in_another_process_as_an_untouched_one(
    tmp_path: Path, untouched: tuple[list[dict[str, Any]], object]
) -> None:
    with console_in_tmux(tmp_path) as window:
        (run,) = (tmp_path / "runs").iterdir()
        before = json.loads((run / "holder.json").read_text())["pid"]
        window.run("set-option", "remain-on-exit", "on")
        window.run("send-keys", "q")
        window.until("leave it running")
        window.run("send-keys", "l")
        window.until(f"claf-tui steer {run.name} stop")
        window.run("kill-server")
        assert ended(run) == "finished"
    assert json.loads((run / "holder.json").read_text())["pid"] != before
    assert result(run) == untouched


@pytest.mark.slow
def test_a_detached_run_is_watched_to_its_end_which_is_that_of_an_untouched_one(
    tmp_path: Path, untouched: tuple[list[dict[str, Any]], object]
) -> None:
    (tmp_path / "tiny.toml").write_text(SETTINGS)
    arguments = ["--config", str(tmp_path / "tiny.toml"), *RUN, "--detach", "--name", "alone", "--ui", "jsonl"]
    begun = claf(tmp_path, "train", *arguments)
    assert begun.returncode == 0, begun.stderr
    run = Path(json.loads(begun.stdout)["directory"])
    assert "run finished" in claf(tmp_path, "watch", "alone", timeout=PATIENCE).stderr
    assert ended(run) == "finished"
    assert result(run) == untouched
