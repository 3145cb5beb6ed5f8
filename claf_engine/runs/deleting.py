"""Deleting a run: what would go, why it may not, and the deed. No torch."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from claf_engine.runs.asking import is_served
from claf_engine.runs.folder import LOCK_PATIENCE, PARTS
from claf_engine.runs.listing import holder
from claf_engine.runs.requests import CONTROL, user_name
from claf_engine.terms.errors import RunError, RunLocked

FOLDERS = ("checkpoints", "examples", "screenshots", "audit", CONTROL)
LAST_TO_GO = ("status.json", "run.json", "run.lock", "config.toml")
"""A folder with config.toml is a run: one whose deletion was broken off is listed, and can be deleted again."""


@dataclass(frozen=True)
class Contents:
    """What a run's folder holds.

    Attributes:
        num_bytes: of all files.
        num_checkpoints: files of checkpoints.
        strange: names in the folder that claf-tui does not write.
    """

    num_bytes: int
    num_checkpoints: int
    strange: tuple[str, ...]


def contents_of(run: Path) -> Contents:
    """Measure a run's folder; what cannot be looked into counts nothing."""
    num_bytes = num_checkpoints = 0
    for folder, _, names in os.walk(run):
        for name in names:
            try:
                num_bytes += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
            num_checkpoints += (
                name.startswith("step-") and name.endswith(".safetensors") and folder.endswith("/checkpoints")
            )
    known = {*PARTS, *FOLDERS}
    names = sorted(os.listdir(run)) if run.is_dir() else []
    strange = [name for name in names if name not in known and ".before-restart-" not in name]
    return Contents(num_bytes, num_checkpoints, tuple(strange))


def refusal_to_delete(run: Path) -> str:
    """Why a run may not be deleted by this user now, or an empty string."""
    if run.is_symlink():
        return f"{run.name} is a link to another place; remove the link itself, or name the folder that it leads to"
    try:
        owner = os.stat(run).st_uid
    except OSError as error:
        return f"cannot look into {run}: {error.strerror}"
    if owner != os.geteuid():
        return (
            f"run {run.name} belongs to {user_name(owner)}, who alone may delete it; you are {user_name(os.geteuid())}"
        )
    if not os.path.isfile(run / "config.toml"):
        return f"{run} is no run: it has no config.toml"
    if is_served(run):
        return f"run {run.name} is live: {holder(run)} trains in it; stop it first"
    return ""


def delete_run(run: Path) -> None:
    """Delete a run's folder with all that lies in it. Links in it are removed, and what they lead to stays.

    Raises:
        RunLocked: a process trains in it.
        RunError: it may not be deleted, or a part of it cannot be; then the rest is still listed as a run.
    """
    if reason := refusal_to_delete(run):
        raise RunError(reason)
    try:
        with _held(run):
            for entry in _first_to_go(run):
                _remove(entry)
            for name in LAST_TO_GO:
                (run / name).unlink(missing_ok=True)
            run.rmdir()
    except OSError as error:
        raise RunError(
            f"cannot delete all of {run.name}: {error.strerror or error} ({error.filename or run}); "
            "remove the rest by hand"
        ) from error


@contextmanager
def _held(run: Path) -> Iterator[None]:
    """Keep others from beginning to train in a run while it is deleted."""
    lock = FileLock(run / "run.lock", timeout=LOCK_PATIENCE)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunLocked(f"run {run.name} is in use by {holder(run)}; stop it first") from error
    try:
        yield
    finally:
        lock.release()


def _first_to_go(run: Path) -> list[os.DirEntry[str]]:
    with os.scandir(run) as entries:
        return [entry for entry in entries if entry.name not in LAST_TO_GO]


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path)
    else:
        os.unlink(entry.path)
