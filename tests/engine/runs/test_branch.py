import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.runs import list_checkpoints, open_run, read_config
from claf_engine.runs.folder import fork_run
from claf_engine.runs.header import read_info
from claf_engine.runs.journal import read_events
from claf_engine.terms.errors import CheckpointError, RunError
from tests.engine.tiny import finished_run, play, tiny_config, use_tiny_data, without_clock

CONFIG = tiny_config(
    probe={"every_epochs": 0, "num_examples": 4, "steps": 1, "fit_epochs": 1},
    linear_evaluation={"epochs": 1, "adversarial_epochs": 0},
    evaluation={"steps": 1, "num_examples": 4},
    checkpoint={"min_seconds": 0, "keep_last": 10},
)


@pytest.fixture(autouse=True)
def _tiny_data(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_data(monkeypatch)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that kept all of its checkpoints: of the steps 3, 6, 12, 18 and 21."""
    return finished_run(tmp_path_factory.mktemp("runs"), CONFIG).path


@pytest.fixture
def origin(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "runs" / finished.name))


def checkpoint_of(run: Path, step: int) -> Path:
    return next(entry.path for entry in list_checkpoints(run) if entry.info is not None and entry.info.step == step)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def forked(origin: Path, step: int) -> Path:
    """The folder of a run that was forked off and not gone on with."""
    directory = fork_run(checkpoint_of(origin, step), origin.parent, ["claf-tui", "resume"])
    directory.close()
    return directory.path


def steps(events: list[ev.Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, ev.StepLogged)]


def test_a_forked_run_has_the_configuration_of_its_origin(origin: Path) -> None:
    assert read_config(forked(origin, 6)) == CONFIG


def test_a_forked_run_is_named_after_its_origin_and_the_step(origin: Path) -> None:
    assert forked(origin, 6).name.endswith("-tiny-from-6")


def test_a_forked_run_holds_the_checkpoint_it_begins_at_and_no_other(origin: Path) -> None:
    (entry,) = list_checkpoints(forked(origin, 6))
    assert entry.path.read_bytes() == checkpoint_of(origin, 6).read_bytes()


def test_a_forked_run_belongs_to_this_process_at_once(origin: Path) -> None:
    directory = fork_run(checkpoint_of(origin, 6), origin.parent, [])
    with pytest.raises(RunError, match="in use by"):
        open_run(directory.path)
    directory.close()


def test_a_forked_run_goes_on_from_the_checkpoint_with_the_history_up_to_there(origin: Path) -> None:
    path = forked(origin, 6)
    events = play(open_run(path))
    started = next(event for event in events if isinstance(event, ev.RunStarted))
    assert started.resumed_from_step == 6
    assert steps(events)[0] == 7
    assert steps(read_events(path)) == list(range(1, 22))


def test_a_forked_run_comes_to_the_same_end_when_nothing_is_changed(origin: Path) -> None:
    path = forked(origin, 6)
    play(open_run(path))
    kinds = (ev.StepLogged, ev.EpochFinished, ev.ProbeFinished, ev.ClassifierRetrained, ev.DissociationMeasured)
    assert without_clock(read_events(path), *kinds) == without_clock(read_events(origin), *kinds)
    one, other = (read_info(checkpoint_of(run, 21)).weights_sha256 for run in (path, origin))
    assert one == other


def test_a_forked_run_may_take_another_way(origin: Path) -> None:
    path = forked(origin, 3)

    def edit(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == 4:
            control.edit("learning_rate", 1e-4)

    play(open_run(path), edit)
    one, other = (read_info(checkpoint_of(run, 6)).weights_sha256 for run in (path, origin))
    assert one != other


@pytest.mark.parametrize("go_on", [False, True])
def test_the_origin_is_untouched(origin: Path, go_on: bool) -> None:
    before = contents(origin)
    path = forked(origin, 6)
    if go_on:
        play(open_run(path))
    assert contents(origin) == before


def test_an_origin_without_history_can_be_forked(origin: Path) -> None:
    for name in ("metrics.jsonl", "events.jsonl"):
        (origin / name).unlink()
    events = play(open_run(forked(origin, 18)))
    assert steps(events) == [19, 20, 21]


def test_the_fork_of_a_fork_is_a_run_too(origin: Path) -> None:
    first = forked(origin, 6)
    assert forked(first, 6).name.endswith("-tiny-from-6-from-6")


def test_a_checkpoint_outside_of_a_run_cannot_be_forked(origin: Path, tmp_path: Path) -> None:
    lonely = Path(shutil.copy(checkpoint_of(origin, 6), tmp_path / "lonely.safetensors"))
    with pytest.raises(CheckpointError, match=r"lonely\.safetensors does not lie in a run's checkpoints folder"):
        fork_run(lonely, tmp_path / "runs", [])


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"nonsense")])
def test_a_checkpoint_that_cannot_be_read_is_told_and_no_run_is_made(
    origin: Path, spoil: Callable[[Path], object]
) -> None:
    path = checkpoint_of(origin, 6)
    spoil(path)
    with pytest.raises(CheckpointError):
        fork_run(path, origin.parent, [])
    assert list(origin.parent.iterdir()) == [origin]


def test_a_fork_that_does_not_fit_on_the_disk_is_told_and_leaves_no_run_behind(
    origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(RunError, match="cannot copy .* No space left on device"):
        fork_run(origin / "checkpoints" / "step-000000006.safetensors", origin.parent, [])
    assert list(origin.parent.iterdir()) == [origin]
