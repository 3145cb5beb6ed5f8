import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.config import RunConfig
from claf_engine.events import records
from claf_engine.events.control import Control
from claf_engine.runs import RunDirectory, create_run
from claf_engine.runs.journal import EVENTS, Journal
from claf_tui import cli
from claf_tui.console import follower as followed_run
from claf_tui.console.follower import Follower
from tests.tui.consoles import console, screen_text, until
from tests.tui.reports.test_printers import LOGGED, PROGRESS
from tests.tui.scripted import Script, run_started, write_checkpoint
from tests.tui.scripted_methods import played


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    directory = create_run(tmp_path, "demo", RunConfig(), [])
    yield directory
    directory.close()


def write(directory: Path, *events: ev.Event, keep: int | None = None) -> None:
    journal = Journal(directory)
    journal.open(keep=keep)
    for event in events:
        if not isinstance(event, ev.Progressed):
            journal.append(event)
    journal.close()


def followed(directory: Path) -> Iterator[ev.Event]:
    return Follower(directory, poll_seconds=0.01)(Control())


def test_a_finished_run_is_read_to_its_end(run: RunDirectory) -> None:
    events = [event for event in Script(run.path)(Control()) if not isinstance(event, ev.Progressed)]
    write(run.path, *events)
    assert list(followed(run.path)) == events


def test_a_copied_run_is_followed_in_its_own_folder(run: RunDirectory, tmp_path: Path) -> None:
    saved = ev.CheckpointSaved(5, 0, str(run.path / "checkpoints" / "step-000000005.safetensors"), 1, ("last",), 0.1)
    write(run.path, run_started(run.path), saved, ev.RunFinished("stopped", 5, 1.0, checkpoint=saved.path))
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    assert str(run.path) in (copy / EVENTS).read_text()
    started, checkpoint, finished = followed(copy)
    assert isinstance(started, ev.RunStarted)
    assert isinstance(checkpoint, ev.CheckpointSaved)
    assert isinstance(finished, ev.RunFinished)
    assert (started.run, started.directory) == ("copy", str(copy))
    assert checkpoint.path == finished.checkpoint == str(copy / "checkpoints" / "step-000000005.safetensors")


async def test_the_browser_of_a_watched_copy_deletes_in_the_copy(run: RunDirectory, tmp_path: Path) -> None:
    write(run.path, run_started(run.path))
    for step in (5, 9):
        write_checkpoint(run.path, step)
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    async with console(Follower(copy, poll_seconds=0.01), (100, 30), read_only=True) as (app, pilot):
        await until(lambda: app.state.run is not None)
        await pilot.press("b")
        await until(lambda: "stage1" in screen_text(app))
        await pilot.press("down", "d")
        await until(lambda: "no way to get it back" in screen_text(app))
        await pilot.press("y")
        await until(lambda: len(list((copy / "checkpoints").iterdir())) == 1)
    assert len(list(run.checkpoints.iterdir())) == 2


def test_what_another_process_adds_appears(run: RunDirectory) -> None:
    write(run.path, LOGGED)
    found = followed(run.path)
    assert next(found) == LOGGED
    write(run.path, ev.Notice("info", "new"), ev.RunFinished("stopped", 1, 1.0))
    assert list(found) == [ev.Notice("info", "new"), ev.RunFinished("stopped", 1, 1.0)]


def test_a_line_that_is_half_written_waits_for_its_other_half(run: RunDirectory) -> None:
    line = json.dumps({"seq": 0, **records.to_record(ev.RunFinished("stopped", 1, 1.0))}) + "\n"
    path = run.path / EVENTS
    path.write_text(line[:20])
    follower = Follower(run.path)
    assert list(follower._look()) == []
    path.write_text(line)
    assert list(follower._look()) == [ev.RunFinished("stopped", 1, 1.0)]


def test_a_resumed_run_that_dropped_records_is_told_again_from_its_beginning(run: RunDirectory) -> None:
    write(run.path, ev.Notice("info", "a"), LOGGED, ev.Notice("info", "lost"))
    follower = Follower(run.path)
    assert len(list(follower._look())) == 3
    write(run.path, ev.Notice("info", "b"), keep=2)
    assert list(follower._look()) == [ev.Notice("info", "a"), LOGGED, ev.Notice("info", "b")]


def test_the_status_file_moves_the_progress(run: RunDirectory) -> None:
    run.write_status({"status": "running", **asdict(PROGRESS)})
    follower = Follower(run.path)
    assert list(follower._look()) == [PROGRESS]
    assert list(follower._look()) == []


def test_a_status_without_progress_is_none() -> None:
    assert followed_run.progress_of({"status": "running", "step": 3}) is None


@pytest.fixture
def killed(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """A run whose process died after step 120."""
    monkeypatch.setattr(followed_run, "SILENCE_SECONDS", 0.0)
    write(run.path, run_started(run.path))
    run.write_status({"status": "running", **asdict(PROGRESS)})
    run.close()
    return run


def end_of(run: RunDirectory) -> ev.RunFinished:
    *_, last = followed(run.path)
    assert isinstance(last, ev.RunFinished)
    return last


def test_a_run_whose_process_died_has_come_as_far_as_it_told(killed: RunDirectory) -> None:
    last = end_of(killed)
    assert (last.status, last.step, last.reason) == ("stopped", 120, "its process ended without saying why")


def test_a_killed_run_is_saved_where_its_newest_whole_checkpoint_is(killed: RunDirectory) -> None:
    older = write_checkpoint(killed.path, 8)
    write_checkpoint(killed.path, 12).write_bytes(b"cut")
    assert end_of(killed).checkpoint == str(older)


def test_a_killed_run_without_a_checkpoint_has_saved_nothing(killed: RunDirectory) -> None:
    assert end_of(killed).checkpoint is None


def test_a_killed_run_whose_checkpoints_are_all_damaged_says_so(killed: RunDirectory) -> None:
    write_checkpoint(killed.path, 8).write_bytes(b"cut")
    last = end_of(killed)
    assert last.checkpoint is None
    assert "no checkpoint of it can be read: " in last.reason


async def test_the_console_names_the_true_checkpoint_of_a_killed_run(killed: RunDirectory) -> None:
    write_checkpoint(killed.path, 8)
    async with console(Follower(killed.path, poll_seconds=0.01), read_only=True) as (app, _):
        await until(lambda: "saved at step 8, 112 steps before the end" in screen_text(app))
        await until(lambda: f"claf-tui train --resume {killed.path.name}" in screen_text(app))


def test_without_a_terminal_the_true_checkpoint_of_a_killed_run_is_told(
    killed: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLAF_RUNS_DIR", str(killed.path.parent))
    write_checkpoint(killed.path, 8)
    assert cli.run(["watch"]) == 0
    assert "saved at step 8, 112 steps before the end" in capsys.readouterr().err


def test_a_silent_run_whose_process_lives_is_waited_for(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_run, "SILENCE_SECONDS", 0.0)
    control = Control()
    found = Follower(run.path, poll_seconds=0.01)
    ends = time.monotonic() + 0.2
    monkeypatch.setattr(Control, "stop_requested", property(lambda _: time.monotonic() > ends))
    assert list(found(control)) == []


async def test_the_console_shows_a_watched_run(run: RunDirectory) -> None:
    write(run.path, *Script(run.path)(Control()))
    async with console(Follower(run.path, poll_seconds=0.01), read_only=True) as (app, _):
        await until(lambda: "FINISHED" in screen_text(app))


async def test_the_alert_of_a_run_that_ended_long_ago_waits_for_whoever_watches_it(run: RunDirectory) -> None:
    write(run.path, *played(run.path, "fgsm", is_collapsing=True))
    async with console(Follower(run.path, poll_seconds=0.01), (80, 24), read_only=True) as (app, pilot):
        await until(lambda: "ALERT" in screen_text(app))
        assert "catastrophic overfitting in epoch 2" in screen_text(app)
        await until(lambda: "FINISHED" in screen_text(app))
        await until(lambda: f"claf-tui eval {run.path.name} --eps 16/255" in screen_text(app))
        await pilot.press("a")
        await until(lambda: "ALERT" not in screen_text(app))


def test_without_a_terminal_a_watched_run_is_told_in_lines(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLAF_RUNS_DIR", str(run.path.parent))
    write(run.path, *Script(run.path)(Control()))
    assert cli.run(["watch"]) == 0
    assert "run finished" in capsys.readouterr().err


@pytest.mark.parametrize("line", [b"[" * 200_000, b'{"seq": 9, "type": "StepLogged", "loss": "x"}', b'{"seq": 1e999}'])
def test_a_damaged_line_is_passed_over_and_said(run: RunDirectory, line: bytes) -> None:
    write(run.path, LOGGED, ev.RunFinished("stopped", 1, 1.0))
    with (run.path / EVENTS).open("ab") as file:
        file.write(line + b"\n")
    lost = ev.Notice("warning", "passed over 1 line that tells nothing in the run's journal")
    assert list(followed(run.path)) == [LOGGED, lost, ev.RunFinished("stopped", 1, 1.0)]


def test_without_a_terminal_a_damaged_line_is_told_and_the_rest_as_well(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLAF_RUNS_DIR", str(run.path.parent))
    write(run.path, *Script(run.path)(Control()))
    with (run.path / EVENTS).open("ab") as file:
        file.write(b"[" * 200_000 + b"\n")
    assert cli.run(["watch"]) == 0
    shown = capsys.readouterr().err
    assert "passed over 1 line" in shown
    assert "run finished" in shown


def test_the_progress_of_earlier_code_is_read_too() -> None:
    record = asdict(PROGRESS)
    assert followed_run.progress_of(record) == PROGRESS
    del record["waited"]
    assert followed_run.progress_of(record) == PROGRESS
    del record["step"]
    assert followed_run.progress_of(record) is None
