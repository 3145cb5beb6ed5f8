import os
from pathlib import Path

import pytest

from claf_engine.runs import RunDirectory
from claf_engine.runs.deleting import contents_of, delete_run, refusal_to_delete
from claf_engine.terms.errors import RunError
from tests.engine.runs.folders import old_run


def big_run(root: Path) -> Path:
    run = old_run(root, "1-a", status="finished")
    (run / "checkpoints" / "step-000000001.safetensors").write_bytes(b"x" * 5000)
    (run / "audit" / "cards").mkdir(parents=True)
    return run


def test_a_run_is_deleted_with_all_that_lies_in_it(tmp_path: Path) -> None:
    run = big_run(tmp_path)
    (run / "paper.txt").touch()
    contents = contents_of(run)
    assert contents.num_bytes > 5000
    assert (contents.num_checkpoints, contents.strange) == (1, ("paper.txt",))
    delete_run(run)
    assert list(tmp_path.iterdir()) == []


def test_a_live_run_is_never_deleted(run: RunDirectory) -> None:
    run.write_status({"status": "running"})
    with pytest.raises(RunError, match="is live: process"):
        delete_run(run.path)
    run.close()
    assert refusal_to_delete(run.path) == ""


def test_the_run_of_another_user_is_never_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = big_run(tmp_path)
    monkeypatch.setattr("claf_engine.runs.deleting.os.geteuid", lambda: 54321)
    with pytest.raises(RunError, match="who alone may delete it; you are user 54321"):
        delete_run(run)
    assert (run / "config.toml").is_file()


def test_what_links_lead_to_stays(tmp_path: Path) -> None:
    run = big_run(tmp_path)
    images = tmp_path / "images"
    images.mkdir()
    (images / "cat.png").touch()
    (run / "images").symlink_to(images)
    (tmp_path / "link").symlink_to(run)
    with pytest.raises(RunError, match="is a link to another place"):
        delete_run(tmp_path / "link")
    delete_run(run)
    assert (images / "cat.png").is_file()


def test_a_folder_that_is_no_run_is_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    with pytest.raises(RunError, match="is no run"):
        delete_run(tmp_path / "thesis")
    with pytest.raises(RunError, match="cannot look into"):
        delete_run(tmp_path / "none")


def test_a_deletion_that_breaks_off_leaves_a_run_that_can_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = big_run(tmp_path)

    def fail(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    with monkeypatch.context() as patch:
        patch.setattr("claf_engine.runs.deleting.shutil.rmtree", fail)
        with pytest.raises(RunError, match="cannot delete all of 1-a: Permission denied .*; remove the rest by hand"):
            delete_run(run)
    assert os.path.isfile(run / "config.toml")
    delete_run(run)
    assert not run.exists()
