"""Runs in processes of their own, whose engine plays a script."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine.runs import RunSummary, list_runs
from claf_engine.terms.errors import ConfigError
from claf_tui.runners import detach
from claf_tui.runners.detach import BEGUN, require_detachable, start_detached
from tests.tui.consoles import HANG

ENGINE = """
import sys, time
from types import SimpleNamespace
from claf_engine import events as ev
from claf_engine.events import records
from claf_engine.terms.errors import DataError
from tests.tui.scripted import Script
def run(directory, control):
    if "broken" in sys.argv:
        raise DataError("there are no images")
    while "loading" in sys.argv:
        yield ev.Progressed.of_activity("drawing training shapes", 0.5)
        time.sleep(0.02)
    for event in Script(directory.path, holds_at=50)(control):
        if isinstance(event, ev.RunFinished):
            directory.write_status(records.to_record(event))
        yield event
sys.modules["claf_engine.training.run"] = SimpleNamespace(run=run)
sys.modules["claf_engine.compute.device"] = SimpleNamespace(own_process=lambda _: None)
"""
"""What every Python process of a test imports first, in place of torch."""
PARENT = "import sys; from claf_tui import cli; cli.main(sys.argv[1:])"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where runs lie; those that are still going in the end are killed."""
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "sitecustomize.py").write_text(ENGINE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'first'}:{os.getcwd()}")
    monkeypatch.setenv("CLAF_RUNS_DIR", str(tmp_path / "runs"))
    yield tmp_path / "runs"
    for run in list_runs(tmp_path / "runs"):
        if run.status == "starting":
            os.kill(json.loads((run.directory / "holder.json").read_text())["pid"], signal.SIGKILL)


def until_ended(root: Path) -> RunSummary:
    deadline = time.monotonic() + HANG
    while (run := list_runs(root)[0]).status == "starting":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return run


def train(*arguments: str) -> list[str]:
    return ["train", "--preset", "smoke", *arguments, "--detach"]


def test_it_comes_back_once_the_run_has_begun_which_is_in_a_session_of_its_own(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert start_detached(train("--name", "alone"), as_json=True) == 0
    told = json.loads(capfd.readouterr().out)
    (run,) = list_runs(root)
    assert (told["run"], told["directory"]) == (run.name, str(run.directory))
    assert os.getsid(told["pid"]) == told["pid"] != os.getsid(0)
    for descriptor in ("1", "2"):
        assert os.readlink(f"/proc/{told['pid']}/fd/{descriptor}") == str(run.directory / "console.log")
    os.kill(told["pid"], signal.SIGHUP)
    time.sleep(0.2)
    os.kill(told["pid"], signal.SIGTERM)
    assert until_ended(root).status == "stopped"
    assert "phase begins" in (run.directory / "console.log").read_text()
    assert BEGUN not in json.loads((run.directory / "run.json").read_text())["command"]


def test_whoever_reads_what_it_prints_or_has_lent_it_a_file_is_let_go_though_the_run_goes_on(root: Path) -> None:
    reading, writing = os.pipe()
    command = [sys.executable, "-c", PARENT, *train("--ui", "jsonl")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=(writing,))
    os.close(writing)
    out, _ = process.communicate(timeout=HANG)
    assert process.returncode == 0
    assert os.read(reading, 1) == b""
    os.close(reading)
    assert os.path.exists(f"/proc/{json.loads(out)['pid']}")
    assert [run.status for run in list_runs(root)] == ["starting"]


def test_a_person_is_told_how_to_reach_the_run(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert start_detached(train()) == 0
    (run,) = list_runs(root)
    text = capfd.readouterr().out
    assert text.startswith(f"{run.name} trains in process ")
    assert f"claf-tui watch {run.name}\n" in text
    assert f"claf-tui steer {run.name} stop\n" in text


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [(["--name", "broken"], 3, "there are no images"), (["--set", "batchsize=1"], 2, "unknown key batchsize")],
)
def test_a_run_that_does_not_begin_gives_its_reason_and_its_code_and_leaves_nothing(
    root: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, reason: str
) -> None:
    assert start_detached(train(*arguments)) == code
    out, err = capfd.readouterr()
    assert (out, reason in err) == ("", True)
    assert list_runs(root) == []


def waiting(root: Path) -> "subprocess.Popen[str]":
    """A process that waits for a run that loads and loads."""
    command = [sys.executable, "-c", PARENT, *train("--name", "loading")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "drawing training" not in process.stderr.readline():
        assert process.poll() is None
    assert [run.status for run in list_runs(root)] == ["starting"]
    return process


def test_who_interrupts_the_wait_ends_a_run_that_has_not_begun(root: Path) -> None:
    process = waiting(root)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=HANG)
    assert process.returncode == 130
    deadline = time.monotonic() + HANG
    while list_runs(root):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_hang_up_of_who_waits_leaves_the_run_going(root: Path) -> None:
    process = waiting(root)
    assert process.stdout is not None
    assert process.stderr is not None
    process.send_signal(signal.SIGHUP)
    process.stdout.close()
    process.stderr.close()
    assert process.wait(HANG) == 129
    time.sleep(0.5)
    assert [run.status for run in list_runs(root)] == ["starting"]


@pytest.mark.parametrize(
    ("ui", "beside", "pid", "reason"),
    [
        ("tui", {}, 7, "leave --ui out"),
        ("auto", {"is_dry": True}, 7, "leave --detach out"),
        ("auto", {"has_form": True}, 7, "--form needs the terminal"),
        ("auto", {"has_others": True}, 7, "setsid torchrun"),
        ("auto", {}, 1, "a container ends with its first process"),
    ],
)
def test_what_cannot_go_on_alone_is_refused(
    monkeypatch: pytest.MonkeyPatch, ui: str, beside: dict[str, bool], pid: int, reason: str
) -> None:
    monkeypatch.setattr(detach.os, "getpid", lambda: pid)
    with pytest.raises(ConfigError, match=reason):
        require_detachable(ui, **beside)


@pytest.mark.parametrize("ui", ["auto", "plain", "jsonl"])
def test_everything_else_may_be_detached(ui: str) -> None:
    require_detachable(ui)
