"""What becomes of a run's folder when its run is not gone on with."""

import errno
import json
from pathlib import Path

import pytest

from claf_engine.runs import RunDirectory, create_run, open_run
from claf_engine.terms.errors import RunError
from tests.engine.runs.conftest import CONFIG
from tests.engine.runs.folders import old_run
from tests.tui.scripted import write_checkpoint

STEP = json.dumps({"seq": 0, "type": "StepLogged", "step": 1}) + "\n"
FAILED = json.dumps({"seq": 0, "type": "RunFinished", "status": "failed"}) + "\n"
SAVED = json.dumps({"seq": 0, "type": "CheckpointSaved", "step": 3}) + "\n"


@pytest.mark.parametrize(("file", "line"), [("metrics.jsonl", STEP), ("events.jsonl", SAVED)])
def test_a_run_that_has_trained_and_lost_its_checkpoints_is_refused_and_nothing_is_touched(
    tmp_path: Path, file: str, line: str
) -> None:
    folder = old_run(tmp_path, "1-demo", status="stopped")
    (folder / file).write_text(line)
    with pytest.raises(RunError, match="has 1 records of training and no checkpoint .*--resume 1-demo --restart"):
        open_run(folder)
    assert (folder / file).read_text() == line
    write_checkpoint(folder, 3)
    open_run(folder).close()


def test_a_refused_run_is_let_go_of(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo", status="stopped")
    (folder / "metrics.jsonl").write_text(STEP)
    for _ in range(2):
        with pytest.raises(RunError, match="no checkpoint"):
            open_run(folder)


def test_a_run_that_lost_its_checkpoints_is_begun_anew_for_those_who_mean_it(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo", status="stopped")
    (folder / "metrics.jsonl").write_text(STEP)
    open_run(folder, restart=True).close()


def test_a_run_that_never_took_a_step_is_begun_without_being_asked(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo", status="failed")
    (folder / "events.jsonl").write_text(FAILED)
    open_run(folder).close()


def test_a_run_with_checkpoints_is_not_begun_anew(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo", status="stopped")
    write_checkpoint(folder, 3)
    with pytest.raises(RunError, match="has checkpoints to go on from; leave --restart out"):
        open_run(folder, restart=True)


def test_a_folder_of_checkpoints_that_is_missing_is_made(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo", status="failed")
    (folder / "checkpoints").rmdir()
    directory = open_run(folder)
    directory.close()
    assert directory.checkpoints.is_dir()


def test_checkpoints_that_cannot_be_written_are_told_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = old_run(tmp_path, "1-demo", status="stopped")
    reached: list[Path] = []

    def refuse(path: Path, data: bytes) -> None:
        if path.parent.name == "checkpoints":
            reached.append(path)
            raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr("claf_engine.runs.folder.write_atomically", refuse)
        with pytest.raises(RunError, match="cannot write to .*checkpoints: Read-only file system"):
            open_run(folder)
    assert reached
    open_run(folder).close()
    assert list((folder / "checkpoints").iterdir()) == []


@pytest.mark.parametrize("broken", ["write_atomically", "RunDirectory"])
def test_a_new_run_that_is_broken_off_while_it_is_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    seen: list[list[Path]] = []

    def break_off(*_: object, **__: object) -> None:
        seen.append(list(tmp_path.rglob("*")))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"claf_engine.runs.folder.{broken}", break_off)
        with pytest.raises(KeyboardInterrupt):
            create_run(tmp_path, "demo", CONFIG, [])
    assert seen[0], "the folder must be half made in this test"
    assert list(tmp_path.iterdir()) == []
    create_run(tmp_path, "demo", CONFIG, []).close()
    assert len(list(tmp_path.iterdir())) == 1


def test_discarding_a_new_run_removes_what_was_made_for_it(run: RunDirectory) -> None:
    run.write_status({"status": "failed"})
    run.discard()
    assert not run.path.exists()


@pytest.mark.parametrize("place", ["notes.txt", "checkpoints/notes.txt"])
def test_discarding_a_new_run_leaves_what_others_put_there(run: RunDirectory, place: str) -> None:
    (run.path / place).write_text("mine")
    run.discard()
    assert (run.path / place).read_text() == "mine"


def test_a_run_that_was_taken_over_is_never_discarded(tmp_path: Path) -> None:
    made = create_run(tmp_path, "demo", CONFIG, [])
    made.close()
    again = open_run(made.path)
    before = sorted(path.name for path in made.path.rglob("*"))
    again.discard()
    again.close()
    assert sorted(path.name for path in made.path.rglob("*")) == before
