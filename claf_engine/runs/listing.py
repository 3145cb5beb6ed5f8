"""Finding runs and checkpoints and telling how they stand, without taking them over. No torch."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from claf_engine.runs.foreign import STATUS_CAP, read_object
from claf_engine.runs.header import CheckpointInfo, read_info
from claf_engine.runs.status import typed_status
from claf_engine.terms.errors import CheckpointError, ForeignFileError, MissingFile, RunError

LATEST = "latest"

Which = Literal["best", "last"]


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

    `notice` says what of its status could not be read, and so is not in `record`; empty where all could.
    """

    name: str
    directory: Path
    status: str
    record: dict[str, Any]
    notice: str = ""


def runs_root() -> Path:
    """The folder that holds the runs: CLAF_RUNS_DIR, or ./runs."""
    return Path(os.environ.get("CLAF_RUNS_DIR") or "runs").expanduser().absolute()


def find_run(reference: str, root: Path) -> Path:
    """Find a run by its folder, its folder's name, the name it was given, or "latest".

    Raises:
        RunError: there is none.
    """
    runs = _run_folders(root)
    if reference == LATEST:
        if not runs:
            raise RunError(f"there are no runs in {root} yet; `claf-tui train` starts one")
        return runs[0]
    for candidate in (Path(reference).expanduser(), root / reference):
        if os.path.isfile(candidate / "config.toml"):
            return candidate.absolute()
    named = [run for run in runs if run.name.split("-", 2)[-1] == reference]
    if not named:
        raise RunError(f"no run {reference!r} in {root}; `claf-tui runs` lists them")
    return named[0]


def find_checkpoint(reference: str, root: Path, which: Which | int = "best") -> Path:
    """Find a checkpoint by its file, or the best, the last or the one of a step of a run.

    Raises:
        CheckpointError: the run has none that can be read.
        RunError: there is no such run.
    """
    path = Path(reference).expanduser()
    if os.path.isfile(path) or path.suffix in {".safetensors", ".pt", ".pth", ".ckpt", ".pkl"}:
        return path
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


def list_checkpoints(directory: Path) -> list[CheckpointEntry]:
    """List the checkpoints of a run, newest step first, with why each is kept.

    The best is the one with the highest validation robust accuracy, the earlier one in a tie.
    """
    found: list[CheckpointEntry] = []
    for path in sorted((directory / "checkpoints").glob("step-*.safetensors"), reverse=True):
        try:
            found.append(CheckpointEntry(path, read_info(path)))
        except CheckpointError as error:
            found.append(CheckpointEntry(path, None, str(error)))
    readable = [entry.info for entry in found if entry.info is not None]
    measured = [info for info in reversed(readable) if "validation_robust" in info.metrics]
    best = max(measured, key=lambda info: info.metrics["validation_robust"], default=None)

    def reasons(info: CheckpointInfo | None) -> tuple[str, ...]:
        if info is None:
            return ()
        marks = {"last": info is readable[0], "best": info is best, "requested": info.metadata.get("claf.requested")}
        return tuple(name for name, holds in marks.items() if holds)

    return [CheckpointEntry(item.path, item.info, item.error, reasons(item.info)) for item in found]


def list_runs(root: Path) -> list[RunSummary]:
    """List the runs, newest first."""
    return [summarise(path) for path in _run_folders(root)]


def summarise(path: Path) -> RunSummary:
    """Read the status of one run; a run that says it is going on but whose lock is free was interrupted."""
    record, notice = _read_status(path / "status.json")
    status = str(record.get("status", "starting"))
    if status in {"starting", "running", "paused", "stopping"} and not is_live(path):
        status = "interrupted"
    return RunSummary(path.name, path, status, record, notice)


def is_live(path: Path) -> bool:
    """Whether a process holds the run's lock."""
    lock = FileLock(path / "run.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def holder(path: Path) -> str:
    """Who holds the run's lock, in words."""
    try:
        record = read_object(path / "holder.json", STATUS_CAP)
    except ForeignFileError:
        record = {}
    return f"process {record.get('pid', '?')} on {record.get('host', 'an unknown machine')}"


def _run_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted((path.parent for path in root.glob("*/config.toml")), key=lambda path: path.name, reverse=True)


def _read_status(path: Path) -> tuple[dict[str, Any], str]:
    """What a status says, and a sentence on what of it cannot be read."""
    try:
        record = read_object(path, STATUS_CAP)
    except MissingFile:
        return {}, ""
    except ForeignFileError as error:
        return {}, str(error)
    typed = typed_status(record)
    lost = ", ".join(sorted(record.keys() - typed.keys()))
    return typed, f"passed over {lost} of {path}: not of the type that a status holds" if lost else ""
