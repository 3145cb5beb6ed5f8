"""What is done around training may fail: it is told once, tried again, and costs the run nothing."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.runs import RunDirectory, create_run, list_checkpoints, open_run
from claf_engine.runs.journal import read_events
from claf_engine.terms.errors import CheckpointError
from tests.engine.tiny import play, tiny_config, use_tiny_data, without_clock

CONFIG = tiny_config(
    method="natural",
    attack__steps=1,
    supervised__epochs=2,
    probe={"every_epochs": 0, "num_examples": 4, "epsilons": ["8/255"], "steps": 1},
    evaluation={"epsilons": ["8/255"], "steps": 1, "num_examples": 4},
    checkpoint={"every_steps": 1, "keep_last": 2, "min_seconds": 0},
)
ERRORS = (errno.EACCES, errno.EIO, errno.EROFS, errno.ENOSPC)


@pytest.fixture(autouse=True)
def _tiny_data(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_data(monkeypatch, num_train=20)
    monkeypatch.setattr("claf_engine.training.conductor.STATUS_SECONDS", 0.0)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[RunDirectory]:
    made = create_run(tmp_path, "tiny", CONFIG, [])
    yield made
    made.close()


@dataclass(frozen=True)
class Undisturbed:
    """A run whose disk is well: its steps, and the checkpoints that are left of it."""

    steps: list[ev.Event]
    files: list[str]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_data(monkeypatch, num_train=20)
        made = create_run(tmp_path_factory.mktemp("well"), "tiny", CONFIG, [])
        return Undisturbed(steps_of(play(made)), files_of(made))


def files_of(directory: RunDirectory) -> list[str]:
    return sorted(path.name for path in directory.checkpoints.iterdir())


def steps_of(events: list[ev.Event]) -> list[ev.Event]:
    return without_clock(events, ev.StepLogged)


def notices(events: list[ev.Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, ev.Notice)]


def name_of(target: object) -> str:
    """The name of a file or folder, given as a path or as a descriptor."""
    path = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else str(target)
    return Path(path).name


@dataclass
class Fault:
    """Makes one call of the operating system fail on the files whose name fits, some times."""

    call: str
    fits: Callable[[str], bool]
    chore: str
    target: int = 0
    reached: list[str] = field(default_factory=list)

    def set_up(self, monkeypatch: pytest.MonkeyPatch, number: int, times: int) -> None:
        real = getattr(os, self.call)

        def failing(*arguments: object, **options: object) -> object:
            if not self.fits(name_of(arguments[self.target])):
                return real(*arguments, **options)
            self.reached.append(name_of(arguments[self.target]))
            if len(self.reached) > times:
                return real(*arguments, **options)
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, self.call, failing)


def faults() -> dict[str, Fault]:
    flush, status = "flush the folder of checkpoints to the disk", "write status.json"
    return {
        "deleting": Fault("unlink", lambda name: name.startswith("step-"), "delete an old checkpoint"),
        "flushing the journal": Fault("fsync", lambda name: name.endswith(".jsonl"), "flush the journal to the disk"),
        "flushing the folder": Fault("fsync", lambda name: name == "checkpoints", flush),
        "opening the folder": Fault("open", lambda name: name == "checkpoints", flush),
        "listing the folder": Fault("listdir", lambda name: name == "checkpoints", "look through the checkpoints"),
        "flushing the status": Fault("fsync", lambda name: name.startswith(".tmp-status"), status),
        "flushing the status's folder": Fault("fsync", lambda name: name.endswith("-tiny"), status),
        "renaming the status": Fault("replace", lambda name: name == "status.json", status, target=1),
    }


@pytest.mark.parametrize("times", [1, 10**6], ids=["once", "always"])
@pytest.mark.parametrize("number", ERRORS, ids=[errno.errorcode[number] for number in ERRORS])
@pytest.mark.parametrize("name", faults())
def test_a_chore_that_fails_is_told_once_and_the_run_goes_on(
    directory: RunDirectory,
    undisturbed: Undisturbed,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    number: int,
    times: int,
) -> None:
    fault = faults()[name]

    def begin(event: ev.Event, _: Control) -> None:
        if isinstance(event, ev.RunStarted):
            fault.set_up(monkeypatch, number, times)

    events = play(directory, begin)
    assert len(fault.reached) > 1, "the control: the call was made, and made again"
    finished = events[-1]
    assert isinstance(finished, ev.RunFinished)
    assert finished.status == "finished"
    assert steps_of(events) == undisturbed.steps
    told = f"cannot {fault.chore}: {os.strerror(number)}; training goes on, and it is tried again"
    left_out = f"the best checkpoint is left out of the test: cannot look into {directory.checkpoints}: "
    costs_a_result = name == "listing the folder" and times > 1
    assert notices(events) == [told, *([left_out + os.strerror(number)] if costs_a_result else [])]
    monkeypatch.undo()
    assert read_events(directory.path)[-1] == finished
    assert list_checkpoints(directory.path)[0].info is not None
    if times == 1:
        assert files_of(directory) == undisturbed.files, "what could not be done was done later"


def test_without_a_fault_nothing_is_told(directory: RunDirectory, undisturbed: Undisturbed) -> None:
    events = play(directory)
    assert notices(events) == []
    assert steps_of(events) == undisturbed.steps


def test_no_checkpoint_is_deleted_before_the_one_after_it_is_flushed(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = faults()["flushing the folder"]
    fault.set_up(monkeypatch, errno.EIO, 10**6)
    play(directory)
    saved = [event for event in read_events(directory.path) if isinstance(event, ev.CheckpointSaved)]
    steps = [event.step for event in saved]
    assert fault.reached
    told = {event.path: event.num_bytes for event in saved}
    assert told == {path: Path(path).stat().st_size for path in told}
    assert len(list_checkpoints(directory.path)) == len(set(steps)) > 3


def test_a_stop_leaves_although_the_folder_cannot_be_flushed(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = faults()["flushing the folder"]

    def stop(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and not fault.reached:
            fault.set_up(monkeypatch, errno.EIO, 10**6)
            control.stop()

    stopped = play(directory, stop)[-1]
    assert fault.reached
    assert isinstance(stopped, ev.RunFinished)
    assert stopped.status == "stopped"
    monkeypatch.undo()


def at_step(step: int, act: Callable[[], object]) -> Callable[[ev.Event, Control], None]:
    def react(event: ev.Event, _: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == step:
            act()

    return react


def test_a_run_whose_folder_is_renamed_goes_on_in_it_and_says_so(
    directory: RunDirectory, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    old, new = directory.path, tmp_path / "renamed"
    events = play(directory, at_step(2, lambda: old.rename(new)))
    assert notices(events) == [f"the run's folder {old} was renamed: the run goes on in {new}"]
    assert steps_of(events) == undisturbed.steps
    assert not old.exists()
    assert read_events(new)[-1] == events[-1]
    assert isinstance(events[-1], ev.RunFinished)
    assert events[-1].status == "finished"


def test_another_folder_in_the_old_place_is_left_alone(directory: RunDirectory, tmp_path: Path) -> None:
    old = directory.path

    def swap() -> None:
        old.rename(tmp_path / "renamed")
        (old / "checkpoints").mkdir(parents=True)

    play(directory, at_step(2, swap))
    assert [path.name for path in old.rglob("*")] == ["checkpoints"]
    assert list_checkpoints(tmp_path / "renamed")


def test_a_run_whose_folder_is_removed_says_so_once_and_does_not_pretend_to_have_saved(
    directory: RunDirectory,
) -> None:
    seen: list[ev.Event] = []
    remove = at_step(2, lambda: shutil.rmtree(directory.path))

    def react(event: ev.Event, control: Control) -> None:
        seen.append(event)
        remove(event, control)

    with pytest.raises(CheckpointError, match="cannot write"):
        play(directory, react)
    gone = f"the run's folder {directory.path} is gone, and nothing can be saved: put it back where it was, or stop"
    assert notices(seen).count(gone) == 1
    assert not directory.path.exists()


def test_a_run_that_is_let_go_of_holds_its_folder_no_longer(directory: RunDirectory) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    directory.close()
    assert len(os.listdir("/proc/self/fd")) < open_before
    open_run(directory.path).close()
