import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.config.presets import Override, parse_override
from claf_engine.events.control import Control
from claf_engine.runs import create_run, list_checkpoints, open_run, read_config
from claf_engine.runs.branch import branch_run, changed_settings, recorded_branch
from claf_engine.runs.folder import settings_text
from claf_engine.runs.header import read_info
from claf_engine.runs.journal import read_events
from claf_engine.terms.errors import CheckpointError, ConfigError, RunError
from tests.engine.tiny import finished_run, play, tiny_config, use_tiny_data, without_clock

CONFIG = tiny_config(
    probe={"every_epochs": 0, "num_examples": 4, "steps": 1, "fit_epochs": 1},
    linear_evaluation={"epochs": 1, "adversarial_epochs": 0},
    evaluation={"steps": 1, "num_examples": 4},
    checkpoint={"min_seconds": 0, "keep_last": 10},
)
LOWER = Override("adversarial.classifier_optimizer.learning_rate", 1e-5)


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


def branched(origin: Path, step: int) -> Path:
    """The folder of a run that was branched off and not gone on with."""
    directory = branch_run(checkpoint_of(origin, step), origin.parent, ["claf-tui", "resume"])
    directory.close()
    return directory.path


def steps(events: list[ev.Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, ev.StepLogged)]


def test_a_branch_has_the_configuration_of_its_origin(origin: Path) -> None:
    assert read_config(branched(origin, 6)) == CONFIG


def test_a_branch_is_named_after_its_origin_and_the_step(origin: Path) -> None:
    assert branched(origin, 6).name.endswith("-tiny-from-6")


def test_a_branch_holds_the_checkpoint_it_begins_at_and_no_other(origin: Path) -> None:
    (entry,) = list_checkpoints(branched(origin, 6))
    assert entry.path.read_bytes() == checkpoint_of(origin, 6).read_bytes()


def test_a_branch_belongs_to_this_process_at_once(origin: Path) -> None:
    directory = branch_run(checkpoint_of(origin, 6), origin.parent, [])
    with pytest.raises(RunError, match="in use by"):
        open_run(directory.path)
    directory.close()


def test_a_branch_goes_on_from_the_checkpoint_with_the_history_up_to_there(origin: Path) -> None:
    path = branched(origin, 6)
    events = play(open_run(path))
    started = next(event for event in events if isinstance(event, ev.RunStarted))
    assert started.resumed_from_step == 6
    assert steps(events)[0] == 7
    assert steps(read_events(path)) == list(range(1, 22))


def test_a_branch_comes_to_the_same_end_when_nothing_is_changed(origin: Path) -> None:
    path = branched(origin, 6)
    play(open_run(path))
    kinds = (ev.StepLogged, ev.EpochFinished, ev.ProbeFinished, ev.ClassifierRetrained, ev.DissociationMeasured)
    assert without_clock(read_events(path), *kinds) == without_clock(read_events(origin), *kinds)
    one, other = (read_info(checkpoint_of(run, 21)).weights_sha256 for run in (path, origin))
    assert one == other


def test_a_branch_may_take_another_way(origin: Path) -> None:
    path = branched(origin, 3)

    def edit(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == 4:
            control.edit("learning_rate", 1e-4)

    play(open_run(path), edit)
    one, other = (read_info(checkpoint_of(run, 6)).weights_sha256 for run in (path, origin))
    assert one != other


@pytest.mark.parametrize("go_on", [False, True])
def test_the_origin_is_untouched(origin: Path, go_on: bool) -> None:
    before = contents(origin)
    path = branched(origin, 6)
    if go_on:
        play(open_run(path))
    assert contents(origin) == before


def test_an_origin_without_history_can_be_branched(origin: Path) -> None:
    for name in ("metrics.jsonl", "events.jsonl"):
        (origin / name).unlink()
    events = play(open_run(branched(origin, 18)))
    assert steps(events) == [19, 20, 21]


def test_the_branch_of_a_branch_is_a_run_too(origin: Path) -> None:
    first = branched(origin, 6)
    assert branched(first, 6).name.endswith("-tiny-from-6-from-6")


def test_a_checkpoint_outside_of_a_run_cannot_be_branched(origin: Path, tmp_path: Path) -> None:
    lonely = Path(shutil.copy(checkpoint_of(origin, 6), tmp_path / "lonely.safetensors"))
    with pytest.raises(CheckpointError, match=r"lonely\.safetensors does not lie in a run's checkpoints folder"):
        branch_run(lonely, tmp_path / "runs", [])


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"nonsense")])
def test_a_checkpoint_that_cannot_be_read_is_told_and_no_run_is_made(
    origin: Path, spoil: Callable[[Path], object]
) -> None:
    path = checkpoint_of(origin, 6)
    spoil(path)
    with pytest.raises(CheckpointError):
        branch_run(path, origin.parent, [])
    assert list(origin.parent.iterdir()) == [origin]


def test_a_branch_that_does_not_fit_on_the_disk_is_told_and_leaves_no_run_behind(
    origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(RunError, match="cannot copy .* No space left on device"):
        branch_run(origin / "checkpoints" / "step-000000006.safetensors", origin.parent, [])
    assert list(origin.parent.iterdir()) == [origin]


def test_a_branch_may_change_settings_and_says_which(origin: Path) -> None:
    directory = branch_run(checkpoint_of(origin, 6), origin.parent, [], [LOWER])
    events = play(directory)
    assert read_config(directory.path).adversarial.classifier_optimizer.learning_rate == 1e-5
    (told,) = [event.text for event in events if isinstance(event, ev.Notice) and "branches off" in event.text]
    assert told == (
        f"this run branches off from step 6 of {origin.name}: adversarial.classifier_optimizer.learning_rate was "
        "0.001, is 1e-05"
    )
    rates = {event.learning_rate for event in events if isinstance(event, ev.StepLogged) and event.part == "retrain"}
    assert rates == {1e-5}


def test_a_branch_is_recorded_where_it_begins(origin: Path) -> None:
    directory = branch_run(checkpoint_of(origin, 6), origin.parent, [], [LOWER], "lower")
    directory.close()
    assert directory.path.name.endswith("-lower")
    branch = recorded_branch(directory.path)
    assert branch is not None
    assert (branch.run, branch.step) == (origin.name, 6)
    assert branch.settings == {LOWER.key: 1e-5}
    assert branch.begins_at(read_info(checkpoint_of(origin, 6)))
    assert recorded_branch(origin) is None


def test_a_branch_that_was_stopped_goes_on_with_its_own_settings(origin: Path) -> None:
    def stop(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == 8:
            control.stop()

    directory = branch_run(checkpoint_of(origin, 6), origin.parent, [], [LOWER])
    play(directory, stop)
    events = play(open_run(directory.path))
    assert isinstance(events[-1], ev.RunFinished)
    assert events[-1].status == "finished"
    assert not any(isinstance(event, ev.Notice) and "branches off" in event.text for event in events)


@pytest.mark.parametrize(("key", "value"), [("attack.steps", 3), (LOWER.key, 0.5)])
def test_what_a_branch_is_not_recorded_to_change_is_refused(origin: Path, key: str, value: object) -> None:
    directory = branch_run(checkpoint_of(origin, 6), origin.parent, [], [LOWER])
    directory.close()
    edited = changed_settings(directory.config, [Override(key, value)])
    (directory.path / "config.toml").write_text(settings_text(edited))
    with pytest.raises(RunError, match=f"{key} was"):
        play(open_run(directory.path))


def test_a_branch_that_cannot_begin_leaves_no_folder_behind(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = branch_run(checkpoint_of(origin, 6), origin.parent, [])
    assert list_checkpoints(directory.path)
    directory.discard()
    directory.close()
    assert list(origin.parent.iterdir()) == [origin]


@pytest.mark.parametrize(
    "change",
    [
        "method=at",
        "seed=1",
        "batch_size=4",
        "data.num_train=8",
        "model.width=8",
        "attack.warm_start=true",
        "adversarial.classifier_epochs=0",
        "contrastive.epochs=0",
        "features_optimizer.name=adam",
        "runtime.threads=2",
    ],
)
def test_what_a_checkpoint_depends_on_cannot_change(origin: Path, change: str) -> None:
    override = parse_override(change)
    with pytest.raises(ConfigError, match=rf"cannot go on from a checkpoint with another {override.key}; leave"):
        branch_run(checkpoint_of(origin, 6), origin.parent, [], [override])
    assert list(origin.parent.iterdir()) == [origin]


@pytest.mark.parametrize("record", [{}, {"branch": 3}, {"branch": {"step": "x", "settings": [], "told": 5}}])
def test_a_record_that_tells_no_branch_is_none_that_changes_anything(tmp_path: Path, record: dict[str, object]) -> None:
    (tmp_path / "run.json").write_text(json.dumps(record))
    branch = recorded_branch(tmp_path)
    assert branch is None or (branch.step, branch.settings, branch.told) == (-1, {}, ())


def edited(root: Path) -> Path:
    """A run whose learning rate and probe interval a person has edited live, before its last checkpoint."""
    directory = create_run(root, "edited", tiny_config(method="natural", supervised__epochs=4), [])

    def steer(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == 2:
            control.edit("learning_rate", event.learning_rate / 8)
            control.edit("probe.every_epochs", 3)
        if isinstance(event, ev.StepLogged) and event.step == 5:
            control.stop()

    play(directory, steer)
    return directory.path


def first_rate(events: list[ev.Event]) -> float:
    return next(event.learning_rate for event in events if isinstance(event, ev.StepLogged))


def test_the_learning_rate_of_a_branch_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    run = edited(tmp_path / "runs")
    constant = Override("supervised.optimizer.schedule", "constant")
    rate = Override("supervised.optimizer.learning_rate", 0.25)
    checkpoint = list_checkpoints(run)[0].path
    asked = play(branch_run(checkpoint, run.parent, [], [constant, rate]))
    assert first_rate(asked) == 0.25
    assert any(isinstance(event, ev.Notice) and "had been edited to 0.125 times" in event.text for event in asked)
    kept = play(branch_run(checkpoint, run.parent, [], [constant]))
    assert first_rate(kept) == pytest.approx(0.1 / 8)


def test_the_probe_interval_of_a_branch_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    run = edited(tmp_path / "runs")
    checkpoint = list_checkpoints(run)[0].path
    for changes, epochs in (([Override("probe.every_epochs", 2)], [2, 4]), ([Override("alp.weight", 0.1)], [3, 4])):
        events = play(branch_run(checkpoint, run.parent, [], changes))
        assert [event.epoch for event in events if isinstance(event, ev.ProbeFinished)] == epochs


def test_momentum_and_weight_decay_of_a_branch_are_its_own(tmp_path: Path) -> None:
    run = edited(tmp_path / "runs")
    names = {"momentum": 0.5, "weight_decay": 0.125}
    changes = [Override(f"supervised.optimizer.{name}", value) for name, value in names.items()]
    directory = branch_run(list_checkpoints(run)[0].path, run.parent, [], changes)
    play(directory)
    info = list_checkpoints(directory.path)[0].info
    assert info is not None
    (groups,) = info.metadata["claf.optimizers"].values()
    assert {name: groups[0][name] for name in names} == names


def test_a_branch_with_fewer_epochs_than_are_done_says_that_the_phase_ends(tmp_path: Path) -> None:
    run = edited(tmp_path / "runs")
    two_done = branch_run(list_checkpoints(run)[0].path, run.parent, [], [])
    play(two_done)
    checkpoint = list_checkpoints(two_done.path)[0].path
    events = play(branch_run(checkpoint, run.parent, [], [Override("supervised.epochs", 2)]))
    assert any(isinstance(event, ev.Notice) and "more than its 2: it ends here" in event.text for event in events)
    assert steps(events) == []
