"""Run directories: layout, lock, status, and finding runs and checkpoints. No torch.

runs/20261124-150400-demo/
config.toml       the resolved configuration
run.json          command line and versions that began the run
metrics.jsonl     what is plotted            (see `journal`)
events.jsonl      everything else that happened
status.json       where the run is now, with a heartbeat
console.log       what libraries printed while the console was up
run.lock          held by the process that trains
checkpoints/step-000000123.safetensors
"""

import json
import os
import platform
import re
import socket
import sys
import time
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import tomli_w
from filelock import FileLock, Timeout
from pydantic import ValidationError

from claf_engine.config import RunConfig
from claf_engine.durable import remove_leftovers, write_atomically
from claf_engine.errors import CheckpointError, RunError, RunLocked
from claf_engine.inspect import CheckpointInfo, read_info
from claf_engine.presets.sentences import Layer, describe

LATEST = "latest"
LOCK_PATIENCE = 0.3
"""Seconds to wait for a lock; somebody who only looks whether a run is alive holds it for a moment."""

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
    """One line of the list of runs; `status` is "interrupted" when the process died without saying how it ended."""

    name: str
    directory: Path
    status: str
    record: dict[str, Any]


class RunDirectory:
    """A run directory that this process owns: it holds the lock until `close`."""

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.path = path
        self.config = config
        self._status: dict[str, Any] = {}
        self._lock = FileLock(path / "run.lock", timeout=LOCK_PATIENCE)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise RunLocked(
                f"run {path.name} is in use by {holder(path)}; stop it first, or start another run"
            ) from error
        except OSError as error:
            raise RunError(f"cannot lock {path}: {error.strerror or error}") from error
        _write(path / "holder.json", {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()})
        remove_leftovers(path)
        remove_leftovers(self.checkpoints)

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    def write_status(self, record: dict[str, Any]) -> None:
        """Replace the status, with a heartbeat; what `record` does not name stays as it was.

        Raises:
            RunError: the file cannot be written.
        """
        self._status |= {**record, "heartbeat": time.time()}
        _write(self.path / "status.json", self._status)

    def close(self) -> None:
        """Let go of the lock."""
        self._lock.release()


def runs_root() -> Path:
    """The folder that holds the runs: CLAF_RUNS_DIR, or ./runs."""
    return Path(os.environ.get("CLAF_RUNS_DIR") or "runs").expanduser().absolute()


def create_run(root: Path, name: str, config: RunConfig, command: list[str]) -> RunDirectory:
    """Make a new run directory and take its lock.

    Raises:
        RunError: the name is not a plain file name, or the folder cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", name):
        raise RunError(f"{name!r} is no run name; use up to 64 letters, digits, dots, dashes and underscores")
    stamp = time.strftime("%Y%m%d-%H%M%S")
    try:
        path = _make_folder(root, f"{stamp}-{name}")
        (path / "checkpoints").mkdir()
        write_atomically(path / "config.toml", tomli_w.dumps(to_plain(config)).encode())
    except OSError as error:
        raise RunError(f"cannot write to {root}: {error.strerror}; set CLAF_RUNS_DIR to another folder") from error
    _write(path / "run.json", {"command": command, "created": stamp, "versions": versions()})
    return RunDirectory(path, config)


def open_run(path: Path) -> RunDirectory:
    """Take over a run directory to go on training in it.

    Raises:
        RunLocked: another process trains in it.
        RunError: its configuration cannot be read, or it is finished.
    """
    if summarise(path).status == "finished":
        raise RunError(f"run {path.name} is finished; evaluate it with `claf-tui eval {path.name}`, or start a new run")
    return RunDirectory(path, read_config(path))


def read_config(path: Path) -> RunConfig:
    """Read the configuration that a run was started with.

    Raises:
        RunError: it is missing or damaged.
    """
    try:
        return RunConfig.model_validate(tomllib.loads((path / "config.toml").read_text(encoding="utf-8")))
    except OSError as error:
        raise RunError(f"cannot read {path / 'config.toml'}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path / 'config.toml'} is damaged: {error}") from error
    except ValidationError as error:
        raise RunError(describe(error, [Layer(str(path / "config.toml"), {})])) from error


def to_plain(config: RunConfig) -> dict[str, Any]:
    """The configuration as plain values for TOML and JSON; unset values are left out, as TOML has no null."""
    plain: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    return plain


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
    record = _read(path / "status.json")
    status = str(record.get("status", "starting"))
    if status in {"starting", "running", "paused", "stopping"} and not is_live(path):
        status = "interrupted"
    return RunSummary(path.name, path, status, record)


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
    record = _read(path / "holder.json")
    return f"process {record.get('pid', '?')} on {record.get('host', 'an unknown machine')}"


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": sys.version.split()[0], "platform": platform.platform()}
    for package in ("claf-tui", "torch", "torchvision", "numpy", "safetensors"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _run_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted((path.parent for path in root.glob("*/config.toml")), key=lambda path: path.name, reverse=True)


def _make_folder(root: Path, name: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for number in range(1, 100):
        path = root / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise RunError(f"{root} already holds a hundred runs named {name}")


def _write(path: Path, record: dict[str, Any]) -> None:
    try:
        write_atomically(path, json.dumps(record, indent=1).encode())
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}; the last checkpoint is whole") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
