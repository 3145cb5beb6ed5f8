"""Signals of a run without a console, in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from claf_engine.events.control import Control
from claf_engine.runs import list_runs
from claf_tui.console.handlers import STOPPING
from claf_tui.runners.signals import stopping_signals
from tests.tui.consoles import HANG

LAUNCH = """
import os, sys, time
from pathlib import Path
from types import SimpleNamespace
from claf_engine import events as ev
from claf_engine.events import records
from tests.tui.scripted import Script
def run(directory, control):
    may_end = Path(os.environ["CLAF_RUNS_DIR"]) / "may-end"
    while "loading" in sys.argv:
        yield ev.Progressed.of_activity("drawing training shapes", 0.5)
        time.sleep(0.02)
    for event in Script(directory.path, holds_at=None if "short" in sys.argv else 50)(control):
        if isinstance(event, ev.RunFinished):
            directory.write_status(records.to_record(event))
        yield event
        while "short" in sys.argv and isinstance(event, ev.PhaseStarted) and not may_end.exists():
            time.sleep(0.01)
        while "deaf" in sys.argv and control.stop_requested:
            time.sleep(0.05)
sys.modules["claf_engine.training.run"] = SimpleNamespace(run=run)
from claf_tui import cli
options = ["--on-hangup", sys.argv[-1]] if sys.argv[-1] in ("leave", "save", "stop") else []
cli.main(["train", "--preset", "smoke", "--ui", "plain", *options])
"""


def started(root: Path, *arguments: str, before: str = "", sign: str = "phase begins") -> subprocess.Popen[str]:
    """A run that has told a sign of its life."""
    process = subprocess.Popen(
        [sys.executable, "-c", before + LAUNCH, *arguments],
        env={**os.environ, "CLAF_RUNS_DIR": str(root), "PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while sign not in process.stderr.readline():
        assert process.poll() is None
    return process


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_stops_the_run_which_saves_and_ends_with_its_code(tmp_path: Path, number: signal.Signals) -> None:
    process = started(tmp_path)
    process.send_signal(number)
    out, err = process.communicate(timeout=HANG)
    assert process.returncode == 128 + number
    assert "stopping: finishes the step and saves" in err
    assert "next:   claf-tui train --resume" in out
    assert [run.status for run in list_runs(tmp_path)] == ["stopped"]


def test_a_second_signal_leaves_at_once(tmp_path: Path) -> None:
    process = started(tmp_path, "deaf")
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    while "a second signal leaves at once" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=HANG)
    assert process.returncode == 130


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_before_the_run_has_begun_leaves_at_once_and_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = started(tmp_path, "loading", sign="drawing training")
    assert [run.status for run in list_runs(tmp_path)] == ["starting"]
    process.send_signal(number)
    out, err = process.communicate(timeout=HANG)
    assert process.returncode == 128 + number
    assert "Traceback" not in out + err
    assert list(tmp_path.iterdir()) == []


def test_a_hang_up_never_counts_as_the_second_signal(tmp_path: Path) -> None:
    process = started(tmp_path, "deaf")
    for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(number)
        time.sleep(0.3)
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=HANG)
    assert process.returncode == 143


def test_a_hang_up_leaves_a_run_going_that_is_to_be_left_which_writes_its_log(tmp_path: Path) -> None:
    process = started(tmp_path, "short", "leave")
    process.send_signal(signal.SIGHUP)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    time.sleep(0.3)
    (tmp_path / "may-end").touch()
    assert process.wait(HANG) == 0
    (run,) = list_runs(tmp_path)
    assert run.status == "finished"
    assert "run finished" in (run.directory / "console.log").read_text()


def test_a_hang_up_ends_a_run_at_once_that_is_to_stop(tmp_path: Path) -> None:
    process = started(tmp_path, "stop")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=HANG)
    assert process.returncode == 129
    assert [run.status for run in list_runs(tmp_path)] == ["interrupted"]


@pytest.mark.parametrize("number", STOPPING)
def test_a_command_that_the_exception_of_a_signal_is_lost_on_leaves_all_the_same(number: signal.Signals) -> None:
    code = (
        "import time\n"
        "from claf_tui.runners.signals import leaving_signals\n"
        "class Loses:\n"
        "    def __del__(self):\n"
        "        print('at work', flush=True); time.sleep(60)\n"
        "with leaving_signals():\n"
        "    Loses()\n"
        "    print('goes on', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.send_signal(number)
    assert process.stdout.readline() == "goes on\n", "the exception must be lost in this test"
    _, err = process.communicate(timeout=HANG)
    assert process.returncode == 128 + number
    assert "Exception ignored" in err


def test_a_hang_up_that_was_ignored_before_stays_ignored(tmp_path: Path) -> None:
    process = started(tmp_path, "short", before="import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n")
    process.send_signal(signal.SIGHUP)
    (tmp_path / "may-end").touch()
    process.communicate(timeout=HANG)
    assert process.returncode == 0


@pytest.mark.parametrize("number", STOPPING)
def test_another_command_leaves_through_its_clean_up(number: signal.Signals) -> None:
    code = (
        "import sys, time, claf_engine.runs\n"
        "from claf_tui import cli\n"
        "def slow(*_):\n"
        "    try:\n        print('at work', flush=True); time.sleep(60)\n"
        "    finally:\n        print('cleaned up', flush=True)\n"
        "claf_engine.runs.list_runs = slow\n"
        "cli.main(['runs'])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.send_signal(number)
    out, _ = process.communicate(timeout=HANG)
    assert (process.returncode, out) == (128 + number, "cleaned up\n")


def test_afterwards_every_signal_does_what_it_did_before() -> None:
    before = [signal.getsignal(number) for number in STOPPING]
    with stopping_signals(Control()) as received:
        assert [signal.getsignal(number) for number in STOPPING] != before
    assert received.number is None
    assert [signal.getsignal(number) for number in STOPPING] == before
