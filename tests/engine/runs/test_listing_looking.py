"""Looking at a run changes nothing, and what may not be looked at is not taken for what is not there."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from claf_engine.runs import RunDirectory, find_checkpoint, holder, is_live, list_checkpoints, list_runs, summarise
from claf_engine.terms.errors import RunError
from tests.engine.runs.folders import old_run
from tests.engine.runs.test_listing import measured

NOBODY = 65534


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder below, with when it last changed and its mode."""
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode) for path in [folder, *folder.rglob("*")]}


def test_looking_at_a_run_changes_nothing(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo", status="running")
    measured(folder, 1, 0.5)
    before = tree(tmp_path)
    assert list_runs(tmp_path)[0].status == "interrupted"
    assert (is_live(folder), str(holder(folder))) == (False, "process ? on an unknown machine")
    find_checkpoint("latest", tmp_path)
    assert tree(tmp_path) == before
    with FileLock(folder / "run.lock"):
        pass
    assert tree(tmp_path) != before, "the control: taking the lock would have been seen"


def test_looking_at_a_run_that_was_moved_does_not_make_its_folder_again(tmp_path: Path) -> None:
    assert not is_live(tmp_path / "moved")
    assert summarise(tmp_path / "moved").status == "interrupted"
    assert not (tmp_path / "moved").exists()


def test_looking_asks_for_no_right_to_write(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    real = os.open

    def noted(path: Path, flags: int, *rest: int) -> int:
        opened.append(flags)
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", noted)
    assert is_live(run.path)
    assert opened
    assert not any(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) for flags in opened)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOLCK])
def test_a_lock_that_may_not_be_looked_at_may_be_held(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    run.write_status({"status": "running"})
    run.close()
    assert summarise(run.path).status == "interrupted"
    reached: list[object] = []
    real_open = os.open

    def refuse(path: Path, *arguments: int) -> int:
        if Path(path).name != "run.lock":
            return real_open(path, *arguments)
        reached.append(path)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    assert summarise(run.path).status == "running"
    assert reached


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user of the machine may look into, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_sees_a_live_run_as_live(public_folder: Path) -> None:
    folder = old_run(public_folder, "1-demo", status="running")
    with FileLock(folder / "run.lock", mode=0o644):
        child = os.fork()
        if child == 0:
            os.setuid(NOBODY)
            may_write = os.access(folder / "run.lock", os.W_OK)
            os._exit(1 if may_write else 0 if is_live(folder) else 2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not is_live(folder)


def test_two_who_look_do_not_take_each_other_for_the_run(run: RunDirectory) -> None:
    code = (
        "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_SH)\n"
        "print('looking', flush=True); sys.stdin.read()"
    )
    assert is_live(run.path)
    run.close()
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(run.path / "run.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"looking\n"
    assert not is_live(run.path)
    other.communicate()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_checkpoints_that_may_not_be_looked_at_are_not_taken_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    folder = old_run(tmp_path, "1-demo")
    assert list_checkpoints(folder) == []
    reached: list[object] = []

    def refuse(path: Path) -> list[str]:
        reached.append(path)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(RunError, match="cannot look into .*checkpoints: "):
        list_checkpoints(folder)
    assert reached == [folder / "checkpoints"]
