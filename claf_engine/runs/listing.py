"""Finding runs and checkpoints and telling how they stand, without taking them over. No torch."""

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from claf_engine.runs.foreign import STATUS_CAP, read_object
from claf_engine.runs.header import CheckpointInfo, read_info, step_in_name
from claf_engine.runs.order import newest_first
from claf_engine.runs.status import read_status
from claf_engine.terms.errors import CheckpointError, CheckpointGone, ForeignFileError, RunError

LATEST = "latest"
GOING_ON = frozenset({"starting", "running", "paused", "stopping"})
"""What a run says of itself while a process trains in it."""
LISTINGS = 5
"""How often a folder is listed in which files go while they are read."""

EARLY = (1 / 3, 2 / 3)
"""Of a run's planned steps: the first checkpoint in between is kept, a second network to attack the last one from."""

Which = Literal["best", "last"]
Lock = Literal["held", "free", "unknown"]


@dataclass(frozen=True)
class CheckpointEntry:
    """One file of a run's checkpoints folder; `info` is None when it cannot be read, and `error` says why."""

    path: Path
    info: CheckpointInfo | None
    error: str = ""
    kept_as: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunSummary:
    """One line of the list of runs; `status` is "interrupted" when the process died without saying how it ended.

    `notice` says what of its status could not be read, and so is not in `record`; empty where all could. `begun` is
    when it was, in seconds since the epoch; 0 where nothing tells.
    """

    name: str
    directory: Path
    status: str
    record: dict[str, Any]
    notice: str = ""
    begun: float = 0.0


def runs_root() -> Path:
    """The folder that holds the runs: CLAF_RUNS_DIR, or ./runs."""
    return Path(os.environ.get("CLAF_RUNS_DIR") or "runs").expanduser().absolute()


def find_run(reference: str, root: Path) -> Path:
    """Find a run by its folder, its folder's name, the name it was given, or "latest".

    Raises:
        RunError: there is none.
    """
    if reference == LATEST:
        runs = list(_run_folders(root))
        if not runs:
            raise RunError(f"there are no runs in {root} yet; `claf-tui train` starts one")
        return _newest(runs)
    for candidate in (Path(reference).expanduser(), root / reference):
        if os.path.isfile(candidate / "config.toml"):
            return candidate.absolute()
    named = [run for run in _run_folders(root) if run.name.split("-", 2)[-1] == reference]
    if not named:
        raise RunError(f"no run {reference!r} in {root}; `claf-tui runs` lists them")
    return _newest(named)


def run_names(root: Path, beginning: str = "", at_most: int | None = None) -> list[str]:
    """The names of the runs, newest first, without a look at how they stand.

    Args:
        root: the folder of the runs.
        beginning: what their names begin with.
        at_most: so many; they are chosen by their names alone, which begin with the time, so that no other is opened.

    Raises:
        RunError: the folder cannot be looked into.
    """
    folders = islice(_run_folders(root, beginning), at_most)
    return [run.path.name for run in newest_first(folders, _status_of)]


def _newest(runs: list[Path]) -> Path:
    """Of several folders the run that was begun last (see `order`)."""
    return newest_first(runs, _status_of)[0].path


def _status_of(run: Path) -> dict[str, Any]:
    return read_status(os.path.join(run, "status.json"))[0]


def find_checkpoint(reference: str, root: Path, which: Which | int = "best") -> Path:
    """Find a checkpoint by its file, or the best, the last or the one of a step of a run.

    Raises:
        CheckpointError: the run has none that can be read.
        RunError: there is no such run.
    """
    if is_checkpoint_file(reference):
        return Path(reference).expanduser()
    run = find_run(reference, root)
    entries = [entry for entry in list_checkpoints(run) if entry.info is not None]
    if not entries:
        raise CheckpointError(f"run {run.name} has no checkpoint that can be read")
    if isinstance(which, int):
        chosen = [entry for entry in entries if entry.info is not None and entry.info.step == which]
        if not chosen:
            steps = ", ".join(str(entry.info.step) for entry in entries if entry.info is not None)
            raise CheckpointError(f"run {run.name} has no checkpoint of step {which}; it has {steps}")
        return chosen[0].path
    return next((entry.path for entry in entries if which in entry.kept_as), entries[0].path)


def is_checkpoint_file(reference: str) -> bool:
    """Whether a reference names a file, there or not, and no run."""
    path = Path(reference).expanduser()
    return os.path.isfile(path) or path.suffix in {".safetensors", ".pt", ".pth", ".ckpt", ".pkl"}


def list_checkpoints(directory: Path) -> list[CheckpointEntry]:
    """List the checkpoints of a run, newest step first, by what they say and not by their names, with why each is kept.

    The best is the one with the highest figure on validation images, the earlier one in a tie. A run that an earlier
    version began has figures of two attacks: then those of the stronger one alone are compared. The early one is the
    first of the run's second third.

    Raises:
        RunError: the folder cannot be looked into, which is not the same as an empty one.
    """
    found = _read_checkpoints(directory / "checkpoints")
    found.sort(key=_step_of, reverse=True)
    readable = [entry.info for entry in found if entry.info is not None]
    measured = [(info, info.chosen_by) for info in reversed(readable) if info.chosen_by is not None]
    stronger = [(info, figure) for info, figure in measured if "validation_selection" in info.metrics]
    best, _ = max(stronger or measured, key=lambda pair: pair[1], default=(None, 0.0))

    early = next((info for info in reversed(readable) if _is_early(info)), None)

    def reasons(info: CheckpointInfo | None) -> tuple[str, ...]:
        if info is None:
            return ()
        requested = info.metadata.get("claf.requested")
        marks = {"last": info is readable[0], "best": info is best, "requested": requested, "early": info is early}
        return tuple(name for name, holds in marks.items() if holds)

    return [CheckpointEntry(item.path, item.info, item.error, reasons(item.info)) for item in found]


def _is_early(info: CheckpointInfo) -> bool:
    progress = info.metadata.get("claf.progress")
    return isinstance(progress, float) and EARLY[0] <= progress < EARLY[1]


def _step_of(entry: CheckpointEntry) -> int:
    """The step that a checkpoint tells; of one that cannot be read, that of its name."""
    if entry.info is not None:
        return entry.info.step
    return step_in_name(entry.path.name) or 0


def _read_checkpoints(folder: Path) -> list[CheckpointEntry]:
    """All files, newest step first; listed again while some go, for a run that trains replaces them one by one."""
    found: list[CheckpointEntry] = []
    for _ in range(LISTINGS):
        found, num_gone = [], 0
        for path in _checkpoint_paths(folder):
            try:
                found.append(CheckpointEntry(path, read_info(path)))
            except CheckpointGone:
                num_gone += 1
            except CheckpointError as error:
                found.append(CheckpointEntry(path, None, str(error)))
        if not num_gone:
            break
    return found


def names_in(folder: Path) -> list[str]:
    """What lies in a folder, in no order; nothing where there is none.

    Raises:
        RunError: it cannot be looked into, which is not the same as an empty one.
    """
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RunError(f"cannot look into {folder}: {error.strerror}") from error


def _checkpoint_paths(folder: Path) -> list[Path]:
    named = [name for name in names_in(folder) if name.startswith("step-") and name.endswith(".safetensors")]
    return [folder / name for name in sorted(named, reverse=True)]


def list_runs(root: Path, num_newest: int | None = None) -> list[RunSummary]:
    """List the runs, newest first: by when they were begun (see `order`).

    Two files of each are opened, and the lock of those that say they go on.

    Args:
        root: the folder that holds them.
        num_newest: how many to list at most; of the others one file is opened. None lists all.

    Raises:
        RunError: the folder cannot be looked into.
    """
    newest = newest_first(_run_folders(root), _status_of)[:num_newest]
    return [replace(summarise(run.path), begun=run.begun) for run in newest]


def summarise(path: Path) -> RunSummary:
    """Read the status of one run; a run that says it is going on but whose lock is free was interrupted."""
    record, notice = read_status(os.path.join(path, "status.json"))
    status = str(record.get("status", "starting"))
    if status in GOING_ON and not is_live(path):
        status = "interrupted"
    return RunSummary(path.name, path, status, record, notice)


def is_live(path: Path) -> bool:
    """Whether a process holds the run's lock; where nobody lets us look, it may."""
    return lock_of(path) != "free"


def lock_of(path: Path) -> Lock:
    """Whether a process holds the run's lock, as far as this user may look.

    The file is opened for reading, and the lock is shared for a moment: so looking makes no file, needs no right to
    write, and two who look do not take each other for the run.
    """
    try:
        descriptor = os.open(path / "run.lock", os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return "free"
    except OSError:
        return "unknown"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return "held"
    finally:
        os.close(descriptor)
    return "free"


@dataclass(frozen=True)
class Holder:
    """Who holds a run's lock, or held it last; None is what its folder does not tell.

    `token` is what requests to that process are addressed to; it is empty where earlier code holds the lock.
    """

    pid: int | None
    host: str | None
    token: str = ""

    def __str__(self) -> str:
        return f"process {self.pid or '?'} on {self.host or 'an unknown machine'}"


def holder(path: Path) -> Holder:
    """Who holds the run's lock, or held it last."""
    try:
        record = read_object(path / "holder.json", STATUS_CAP)
    except ForeignFileError:
        record = {}
    pid, host, token = record.get("pid"), record.get("host"), record.get("token")
    is_pid = isinstance(pid, int) and not isinstance(pid, bool) and pid > 0
    return Holder(
        pid if is_pid else None,
        host if isinstance(host, str) and host else None,
        token if isinstance(token, str) else "",
    )


def _run_folders(root: Path, beginning: str = "") -> Iterator[Path]:
    """In the order of their names, the last one first."""
    for name in sorted((name for name in names_in(root) if name.startswith(beginning)), reverse=True):
        if os.path.exists(os.path.join(root, name, "config.toml")):
            yield root / name
