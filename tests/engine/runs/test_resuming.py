import os
import shutil
from pathlib import Path

import pytest

from claf_engine.runs.resuming import goes_on_in_its_run, require_resumable
from claf_engine.terms.errors import CheckpointError, ConfigError, RunEnded, RunError
from tests.engine.runs.folders import old_run
from tests.engine.runs.test_header import METADATA, write


def run_with(root: Path, steps: tuple[int, ...] = (1, 2), **status: object) -> list[Path]:
    """The checkpoints of a run, the oldest first."""
    folder = old_run(root, "1-demo", **status) / "checkpoints"
    return [write(folder, {**METADATA, "claf.step": str(step)}, name=f"step-{step:09d}.safetensors") for step in steps]


def test_the_newest_checkpoint_goes_on_in_its_run(tmp_path: Path) -> None:
    old, new = run_with(tmp_path)
    assert goes_on_in_its_run(new)
    assert not goes_on_in_its_run(old)


def test_another_setting_begins_a_new_run(tmp_path: Path) -> None:
    assert not goes_on_in_its_run(run_with(tmp_path)[-1], ["attack.steps=3"])


def test_a_damaged_newer_file_does_not_make_a_checkpoint_old(tmp_path: Path) -> None:
    newest = run_with(tmp_path)[-1]
    newest.with_name("step-000000009.safetensors").write_bytes(b"half")
    assert goes_on_in_its_run(newest)


def test_a_stopped_run_can_be_gone_on_with_from_every_checkpoint(tmp_path: Path) -> None:
    for path in run_with(tmp_path, status="stopped"):
        require_resumable(path, tmp_path)


@pytest.mark.parametrize("status", ["finished", "imported"])
def test_of_a_run_that_has_ended_only_older_checkpoints_can(tmp_path: Path, status: str) -> None:
    old, new = run_with(tmp_path, status=status)
    require_resumable(old, tmp_path)
    with pytest.raises(RunEnded, match=f"run 1-demo is {status}"):
        require_resumable(new, tmp_path)


def test_a_checkpoint_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    newest = run_with(tmp_path)[-1]
    newest.write_bytes(b"half")
    with pytest.raises(CheckpointError, match="damaged"):
        require_resumable(newest, tmp_path)


def test_a_checkpoint_outside_of_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not lie in a run's checkpoints folder"):
        require_resumable(write(tmp_path), tmp_path)


@pytest.mark.parametrize("index", [0, 1])
def test_damaged_settings_are_refused(tmp_path: Path, index: int) -> None:
    path = run_with(tmp_path)[index]
    (tmp_path / "1-demo" / "config.toml").write_text("nonsense = 1")
    with pytest.raises(RunError, match="unknown key nonsense"):
        require_resumable(path, tmp_path)


@pytest.mark.parametrize("change", ["attack.steps=few", "no.such=1", "attack.steps", "seed=9"])
def test_a_wrong_setting_is_refused(tmp_path: Path, change: str) -> None:
    with pytest.raises(ConfigError):
        require_resumable(run_with(tmp_path)[0], tmp_path, [change])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize(("index", "folder"), [(0, "elsewhere/new"), (1, "1-demo"), (1, "1-demo/checkpoints")])
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, index: int, folder: str) -> None:
    path = run_with(tmp_path)[index]
    (tmp_path / "elsewhere").mkdir()
    closed = tmp_path / folder if index else tmp_path / "elsewhere"
    closed.chmod(0o500)
    with pytest.raises(RunError, match="cannot write to .*; make it writable"):
        require_resumable(path, tmp_path / "elsewhere/new")
    closed.chmod(0o700)


def test_a_file_in_the_place_of_the_folder_of_runs_is_refused(tmp_path: Path) -> None:
    path = run_with(tmp_path)[0]
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write to"):
        require_resumable(path, tmp_path / "file")


def test_nothing_is_changed_by_looking(tmp_path: Path) -> None:
    paths = run_with(tmp_path)
    shutil.copytree(tmp_path / "1-demo", tmp_path / "before")
    for path in paths:
        require_resumable(path, tmp_path)
    files = {item.relative_to(tmp_path / "1-demo") for item in (tmp_path / "1-demo").rglob("*")}
    assert files == {item.relative_to(tmp_path / "before") for item in (tmp_path / "before").rglob("*")}
