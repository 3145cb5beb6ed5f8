"""A run whose checkpoints are lost, and one that is missing something before it goes on: no record is lost."""

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.data import Dataset
from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse
from claf_engine.runs import RunDirectory, create_run, open_run
from claf_engine.terms.errors import DataError, RunError
from tests.engine.tiny import play, tiny_config, use_tiny_data

CONFIG = tiny_config(method="natural", supervised__epochs=2, attack__steps=1, evaluation={"steps": 1})
JOURNAL = ("metrics.jsonl", "events.jsonl")


@pytest.fixture(autouse=True)
def _tiny_data(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_data(monkeypatch, num_train=20)


@pytest.fixture
def stopped(tmp_path: Path) -> RunDirectory:
    """A run that was stopped after its fourth step."""

    def stop(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == 4:
            control.stop()

    directory = create_run(tmp_path, "tiny", CONFIG, [])
    play(directory, stop)
    return directory


def journal_of(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in JOURNAL}


def lose_checkpoints(directory: RunDirectory) -> None:
    for file in directory.checkpoints.iterdir():
        file.unlink()


def test_a_restarted_run_keeps_its_old_records_under_other_names_and_says_so(stopped: RunDirectory) -> None:
    before = journal_of(stopped.path)
    lose_checkpoints(stopped)
    events = play(open_run(stopped.path, restart=True))
    names = [f"{name.removesuffix('.jsonl')}.before-restart-1.jsonl" for name in JOURNAL]
    assert [(stopped.path / name).read_bytes() for name in names] == [before[name] for name in JOURNAL]
    text = f"the run begins anew at step 0; its earlier records are kept in {names[0]} and {names[1]}"
    assert ev.Notice("warning", text, 0) in events
    assert [event.step for event in events if isinstance(event, ev.StepLogged)][0] == 1


def test_a_second_restart_overwrites_nothing_of_the_first(stopped: RunDirectory) -> None:
    def stop(event: ev.Event, control: Control) -> None:
        control.stop()

    lose_checkpoints(stopped)
    play(open_run(stopped.path, restart=True), stop)
    first = (stopped.path / "metrics.before-restart-1.jsonl").read_bytes()
    lose_checkpoints(stopped)
    play(open_run(stopped.path, restart=True))
    assert (stopped.path / "metrics.before-restart-1.jsonl").read_bytes() == first
    assert (stopped.path / "metrics.before-restart-2.jsonl").stat().st_size


def test_without_its_images_no_record_is_dropped(stopped: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    with (stopped.path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"seq": 900, "type": "StepLogged"}\n')
    before, reached = journal_of(stopped.path), []

    def refuse(*_: object) -> Generator[Pulse, None, Dataset]:
        reached.append(True)
        yield Pulse("looking")
        raise DataError("there are no images at x")

    with monkeypatch.context() as patched:
        patched.setattr("claf_engine.training.opening.dataset_steps", refuse)
        with pytest.raises(DataError):
            play(open_run(stopped.path))
    assert reached
    assert all(now.startswith(before[name]) for name, now in journal_of(stopped.path).items())
    play(open_run(stopped.path))
    assert b'"seq": 900' not in journal_of(stopped.path)["metrics.jsonl"]


def test_a_disk_without_room_for_a_network_is_told_before_any_record_is_dropped(
    stopped: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, asked, usage = journal_of(stopped.path), [], shutil.disk_usage

    def full(path: Path) -> object:
        asked.append(path)
        return usage(path)._replace(free=10)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", full)
        with pytest.raises(RunError, match="has 0.0 MiB left, and a checkpoint takes more than"):
            play(open_run(stopped.path))
    assert asked == [stopped.checkpoints]
    assert all(now.startswith(before[name]) for name, now in journal_of(stopped.path).items())
    play(open_run(stopped.path))
