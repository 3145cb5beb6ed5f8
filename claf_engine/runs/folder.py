"""Making run directories, taking them over, and beginning a new one at a checkpoint. No torch."""

import json
import os
import platform
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock, Timeout
from pydantic import ValidationError

from claf_engine.config import RunConfig
from claf_engine.config.messages import Layer, describe
from claf_engine.runs.durable import remove_leftovers, write_atomically
from claf_engine.runs.foreign import read_toml
from claf_engine.runs.header import read_info
from claf_engine.runs.journal import EVENTS, METRICS
from claf_engine.runs.listing import holder, summarise
from claf_engine.runs.plugins import PLUGINS, missing_plugin, plugin_changes, plugin_records, recorded_plugins
from claf_engine.terms.errors import CheckpointError, ConfigError, ForeignFileError, RunError, RunLocked

IMPORTED = "imported"
"""Status of a run that holds weights trained elsewhere."""
ENDED = ("finished", IMPORTED)
"""Statuses of runs in which there is nothing to go on with."""
LOCK_PATIENCE = 0.3
"""Seconds to wait for a lock; somebody who only looks whether a run is alive holds it for a moment."""


class RunDirectory:
    """A run directory that this process owns: it holds the lock until `close`.

    Attributes:
        notices: sentences that whoever trains in it is told.
    """

    def __init__(self, path: Path, config: RunConfig, notices: tuple[str, ...] = ()) -> None:
        self.path = path
        self.config = config
        self.notices = notices
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


def create_run(root: Path, name: str, config: RunConfig, command: list[str]) -> RunDirectory:
    """Make a new run directory and take its lock.

    Raises:
        RunError: the name is not a plain file name, or the folder cannot be written.
        ConfigError: see `settings_text`.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", name):
        raise RunError(f"{name!r} is no run name; use up to 64 letters, digits, dots, dashes and underscores")
    stamp = time.strftime("%Y%m%d-%H%M%S")
    settings = settings_text(config).encode()
    try:
        path = _make_folder(root, f"{stamp}-{name}")
        (path / "checkpoints").mkdir()
        write_atomically(path / "config.toml", settings)
    except OSError as error:
        raise RunError(f"cannot write to {root}: {error.strerror}; set CLAF_RUNS_DIR to another folder") from error
    _write(path / "run.json", {"command": command, "created": stamp, "versions": versions(), PLUGINS: plugin_records()})
    return RunDirectory(path, config)


def open_run(path: Path) -> RunDirectory:
    """Take over a run directory to go on training in it.

    Raises:
        RunLocked: another process trains in it.
        RunError: its configuration cannot be read, or it is finished, or it was imported.
    """
    if (status := summarise(path).status) in ENDED:
        raise RunError(f"run {path.name} is {status}; evaluate it with `claf-tui eval {path.name}`, or start a new run")
    return RunDirectory(path, read_config(path), plugin_changes(path))


def read_config(path: Path) -> RunConfig:
    """Read the configuration that a run was started with.

    Raises:
        RunError: it is missing or damaged, or needs a plugin.
    """
    plain: dict[str, Any] = {}
    try:
        plain = read_toml(path / "config.toml")
        return RunConfig.model_validate(plain)
    except ForeignFileError as error:
        raise RunError(str(error)) from error
    except ValidationError as error:
        if recorded_plugins(path) and (missing := missing_plugin(plain, path)):
            raise RunError(f"run {path.name} needs a plugin: {missing}") from error
        raise RunError(describe(error, [Layer(str(path / "config.toml"), {})])) from error


def to_plain(config: RunConfig) -> dict[str, Any]:
    """The configuration as plain values for TOML and JSON; unset values are left out, as TOML has no null."""
    plain: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    return plain


def settings_text(config: RunConfig) -> str:
    """The configuration as config.toml holds it.

    Raises:
        ConfigError: a setting holds a text that UTF-8 cannot, such as the path of a folder named in another encoding.
    """
    plain = to_plain(config)
    for key, value in _leaves(plain):
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise ConfigError(f"{key} is {value!r}, which is not UTF-8; give that folder another name") from error
    return tomli_w.dumps(plain)


def _leaves(plain: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in plain.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": sys.version.split()[0], "platform": platform.platform()}
    for package in ("claf-tui", "torch", "torchvision", "numpy", "safetensors"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


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


def fork_run(checkpoint: Path, root: Path, command: list[str]) -> RunDirectory:
    """Make a new run that begins at a checkpoint, with its history up to there.

    Raises:
        CheckpointError: the checkpoint cannot be read, or does not lie in a run directory.
        RunError: the new directory cannot be written.
    """
    info = read_info(checkpoint)
    origin = checkpoint.absolute().parent.parent
    if not (origin / "config.toml").is_file():
        raise CheckpointError(f"{checkpoint} does not lie in a run's checkpoints folder, so no run can go on from it")
    name = origin.name.split("-", 2)[-1][:48]
    directory = create_run(root, f"{name}-from-{info.step}", read_config(origin), command)
    directory.notices = plugin_changes(origin)
    try:
        for file in (METRICS, EVENTS):
            if (origin / file).exists():
                shutil.copyfile(origin / file, directory.path / file)
        shutil.copyfile(checkpoint, directory.checkpoints / checkpoint.name)
    except OSError as error:
        directory.close()
        shutil.rmtree(directory.path, ignore_errors=True)
        raise RunError(f"cannot copy {checkpoint} to {root}: {error.strerror}") from error
    return directory
