import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from claf_engine.runs.durable import (
    TEMPORARY_PREFIX,
    FolderNotFlushed,
    remove_leftovers,
    sync_folder,
    write_atomically,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_writes_a_new_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_it_replaces_an_old_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old and longer")
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_the_mode_follows_the_umask_and_not_a_private_default(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "a", b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_at_any_call_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_data_are_on_the_disk_before_the_name_and_the_name_before_we_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    replace, fsync = os.replace, os.fsync

    def noted_replace(old: Path, new: Path) -> None:
        order.append("replace")
        replace(old, new)

    def noted_fsync(descriptor: int) -> None:
        order.append("sync folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "sync file")
        fsync(descriptor)

    monkeypatch.setattr(os, "replace", noted_replace)
    monkeypatch.setattr(os, "fsync", noted_fsync)
    write_atomically(tmp_path / "a", b"new")
    assert order == ["sync file", "replace", "sync folder"]


def test_an_interrupted_write_leaves_no_litter_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", b"new")
    assert names(tmp_path) == []


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from claf_engine.runs import durable\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "durable.write_atomically(Path(sys.argv[1]) / 'a', b'new')"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -signal.SIGKILL
    (tmp_path / "b").write_bytes(b"kept")
    assert [name.startswith(TEMPORARY_PREFIX) for name in names(tmp_path)] == [True, False]
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == ["b"]


def test_removing_leftovers_of_a_missing_folder_does_nothing(tmp_path: Path) -> None:
    assert remove_leftovers(tmp_path / "none") == 0


def refuse_to_flush_folders(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Let fsync fail on folders; the descriptors on which it did."""
    reached: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if not os.path.isdir(f"/proc/self/fd/{descriptor}"):
            return real(descriptor)
        reached.append(descriptor)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    return reached


def test_a_file_whose_folder_cannot_be_flushed_is_in_its_place_and_that_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = refuse_to_flush_folders(monkeypatch, errno.EIO)
    with pytest.raises(FolderNotFlushed, match="Input/output error"):
        write_atomically(tmp_path / "a", b"new")
    assert reached
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_flush_folders_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    reached = refuse_to_flush_folders(monkeypatch, number)
    sync_folder(tmp_path)
    assert reached
