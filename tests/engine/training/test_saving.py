import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine.events import CheckpointSaved
from claf_engine.models.network import ATTACK_CLASSIFIER, NATURAL
from claf_engine.runs import RunDirectory, create_run, list_checkpoints
from claf_engine.runs.header import read_info
from claf_engine.terms.errors import CheckpointError, NonFiniteLoss
from claf_engine.training import saving
from claf_engine.training.checkpoint import checkpoint_path
from claf_engine.training.methods import phases_of
from claf_engine.training.session import Session
from tests.engine.tiny import tiny_config, tiny_session

CONFIG = tiny_config(checkpoint={"keep_last": 2})
CONTRASTIVE, ADVERSARIAL, LINEAR = phases_of(CONFIG)[:3]


@pytest.fixture
def session() -> Session:
    return tiny_session(CONFIG)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[RunDirectory]:
    owned = create_run(tmp_path, "tiny", CONFIG, [])
    yield owned
    owned.close()


@pytest.fixture
def save(session: Session, directory: RunDirectory):
    """Saves a checkpoint of a step, measured or not."""

    def one(step: int, robust: float | None = None, *, requested: bool = False) -> CheckpointSaved:
        session.state.cursor.step = step
        session.state.ledger.validation = (
            {} if robust is None else {ATTACK_CLASSIFIER: {"natural": 0.9, "robust": robust}}
        )
        return saving.save(session, directory, ADVERSARIAL, num_records=step, requested=requested)

    return one


def steps(directory: RunDirectory) -> list[int]:
    return sorted(entry.info.step for entry in list_checkpoints(directory.path) if entry.info is not None)


def test_the_newest_checkpoints_are_kept_and_older_ones_deleted(save, directory: RunDirectory) -> None:
    for step in (1, 2, 3, 4):
        save(step)
    assert steps(directory) == [3, 4]


def test_the_best_checkpoint_is_kept_however_old_it_is(save, directory: RunDirectory) -> None:
    for step, robust in ((1, 0.2), (2, 0.6), (3, 0.4), (4, 0.5), (5, None)):
        save(step, robust)
    assert steps(directory) == [2, 4, 5]


def test_an_early_checkpoint_is_kept_however_old_it_is(save, session: Session, directory: RunDirectory) -> None:
    planned = sum(phase.plan(session.steps_per_sweep).steps for phase in phases_of(CONFIG))
    assert saving.progress(session) == 0
    early = planned // 2
    for step in (1, early, early + 1, planned - 1, planned):
        save(step)
    assert steps(directory) == [early, planned - 1, planned]


def test_a_best_checkpoint_that_is_beaten_is_deleted_in_its_turn(save, directory: RunDirectory) -> None:
    for step, robust in ((1, 0.6), (2, 0.1), (3, 0.1), (4, 0.7)):
        save(step, robust)
    assert steps(directory) == [3, 4]


def test_a_requested_checkpoint_is_kept_however_old_it_is(save, directory: RunDirectory) -> None:
    save(1, requested=True)
    for step in (2, 3, 4):
        save(step)
    assert steps(directory) == [1, 3, 4]


def test_a_requested_checkpoint_stays_one_when_its_step_is_saved_again(save, directory: RunDirectory) -> None:
    """An epoch that ends with the step, or a stop, saves it once more."""
    save(1, requested=True)
    assert "requested" in save(1).kept_as
    for step in (2, 3, 4):
        save(step)
    assert steps(directory) == [1, 3, 4]


def test_a_file_that_cannot_be_read_is_left_alone(save, directory: RunDirectory) -> None:
    damaged = checkpoint_path(directory.checkpoints, 0)
    damaged.write_bytes(b"not a checkpoint")
    for step in (1, 2, 3, 4):
        save(step)
    assert damaged.read_bytes() == b"not a checkpoint"
    assert steps(directory) == [3, 4]


def test_a_file_that_cannot_be_read_does_not_count_as_one_of_the_newest(save, directory: RunDirectory) -> None:
    checkpoint_path(directory.checkpoints, 999).write_bytes(b"not a checkpoint")
    for step in (1, 2, 3):
        save(step)
    assert steps(directory) == [2, 3]


def test_a_damaged_file_of_the_same_step_is_replaced(save, directory: RunDirectory) -> None:
    checkpoint_path(directory.checkpoints, 5).write_bytes(b"not a checkpoint")
    save(5)
    assert steps(directory) == [5]


def test_files_that_are_no_checkpoints_are_left_alone(save, directory: RunDirectory) -> None:
    (directory.checkpoints / "notes.txt").write_text("mine")
    for step in (1, 2, 3, 4):
        save(step)
    assert (directory.checkpoints / "notes.txt").read_text() == "mine"


def test_a_checkpoint_names_the_classifiers_that_have_begun_whether_or_not_they_were_probed(
    save, directory: RunDirectory, session: Session
) -> None:
    session.state.cursor.phase, session.state.cursor.epoch = 1, 3
    save(3)
    (entry,) = list_checkpoints(directory.path)
    assert entry.info is not None
    assert entry.info.metadata["claf.begun_classifiers"] == [ATTACK_CLASSIFIER]


def test_what_was_deleted_is_told(save, directory: RunDirectory) -> None:
    save(1)
    save(2)
    deleted = saving.delete_surplus(list_checkpoints(directory.path), 1, directory.chores)
    assert [entry.path for entry in deleted] == [checkpoint_path(directory.checkpoints, 1)]
    assert steps(directory) == [2]


@pytest.mark.parametrize(
    ("robust", "requested", "reasons"),
    [(None, False, {"last"}), (0.5, False, {"last", "best"}), (0.5, True, {"last", "best", "requested"})],
)
def test_the_event_says_why_a_checkpoint_is_kept(
    save, robust: float | None, requested: bool, reasons: set[str]
) -> None:
    assert set(save(3, robust, requested=requested).kept_as) == reasons


def test_the_event_says_where_it_is_and_how_large(save, directory: RunDirectory) -> None:
    saved = save(3)
    assert Path(saved.path) == checkpoint_path(directory.checkpoints, 3)
    assert saved.num_bytes == Path(saved.path).stat().st_size
    assert (saved.step, saved.phase) == (3, 0)


def test_a_save_that_fails_deletes_nothing(save, directory: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (1, 2):
        save(step)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("claf_engine.training.checkpoint.write_atomically", full)
    with pytest.raises(CheckpointError):
        save(3)
    assert steps(directory) == [1, 2]


def test_weights_that_are_not_finite_are_not_saved_and_nothing_is_deleted(
    save, session: Session, directory: RunDirectory
) -> None:
    for step in (1, 2):
        save(step)
    session.state.network.classifiers[ATTACK_CLASSIFIER].bias.data[0] = float("nan")
    with pytest.raises(NonFiniteLoss):
        save(3)
    assert steps(directory) == [1, 2]


def test_a_checkpoint_carries_the_figures_that_were_measured_on_its_state(save) -> None:
    info = read_info(Path(save(3, 0.5).path))
    assert info.metrics == {"validation_natural": 0.9, "validation_robust": 0.5}
    assert info.classifier == ATTACK_CLASSIFIER


def test_a_checkpoint_of_a_state_that_was_not_measured_carries_no_figures(
    session: Session, directory: RunDirectory
) -> None:
    for phase in (CONTRASTIVE, ADVERSARIAL, LINEAR):
        assert saving.describe(session, directory, phase, 0, requested=False).metrics == {}


def test_until_a_phases_classifier_is_measured_a_checkpoint_goes_by_the_one_before(
    session: Session, directory: RunDirectory
) -> None:
    """Else a stop as linear evaluation begins would overwrite the best checkpoint with one that has no figures."""
    session.state.ledger.validation = {ATTACK_CLASSIFIER: {"natural": 0.9, "robust": 0.5}}
    described = saving.describe(session, directory, LINEAR, 0, requested=False)
    assert (described.classifier, described.metrics["validation_robust"]) == (ATTACK_CLASSIFIER, 0.5)


def test_once_the_classifier_of_a_phase_is_measured_a_checkpoint_goes_by_it(
    session: Session, directory: RunDirectory
) -> None:
    session.state.ledger.validation = {
        NATURAL: {"natural": 0.8, "robust": 0.1},
        ATTACK_CLASSIFIER: {"natural": 0.9, "robust": 0.5},
    }
    described = saving.describe(session, directory, LINEAR, 0, requested=False)
    assert (described.classifier, described.metrics["validation_robust"]) == (NATURAL, 0.1)


def test_a_checkpoint_says_what_made_it(session: Session, directory: RunDirectory) -> None:
    described = saving.describe(session, directory, ADVERSARIAL, 12, requested=True)
    assert described.run == directory.path.name
    assert described.phase == ADVERSARIAL.title
    assert described.class_names == session.data.class_names
    arithmetic = {"device": "cpu", "precision": "fp32", "layout": "channels_last", "threads": 1}
    assert described.compute == {**arithmetic, "micro_batch": "whole batch", "processes": 1}
    assert (described.num_records, described.requested) == (12, True)
    assert json.loads(json.dumps(described.config)) == described.config


def test_the_newest_checkpoint_is_the_newest_that_can_be_read(session: Session, directory: RunDirectory) -> None:
    assert saving.newest(directory) is None
    saved = saving.save(session, directory, CONTRASTIVE, 0, requested=False)
    (directory.checkpoints / "step-000000009.safetensors").write_bytes(b"damaged")
    assert saving.newest(directory) == saved.path
