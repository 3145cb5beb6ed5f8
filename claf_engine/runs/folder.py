"""Making run directories and taking them over. No torch."""

import contextlib
import json
import os
import platform
import re
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock, Timeout
from pydantic import ValidationError

from claf_engine.config import RunConfig
from claf_engine.config.alerts import AlertSettings
from claf_engine.config.messages import Layer, describe
from claf_engine.config.sources import absolute_source
from claf_engine.runs.chores import Chores
from claf_engine.runs.durable import TEMPORARY_PREFIX, remove_leftovers, write_atomically
from claf_engine.runs.foreign import STATUS_CAP, read_object, read_toml
from claf_engine.runs.inbox import Inbox
from claf_engine.runs.journal import EVENTS, METRICS, count_records
from claf_engine.runs.labels import LABELS
from claf_engine.runs.listing import holder, list_checkpoints, summarise
from claf_engine.runs.plugins import PLUGINS, missing_plugin, plugin_changes, plugin_records, recorded_plugins
from claf_engine.runs.requests import CONTROL
from claf_engine.runs.status import read_status
from claf_engine.terms.errors import ConfigError, ForeignFileError, RunEnded, RunError, RunLocked

IMPORTED = "imported"
"""Status of a run that holds weights trained elsewhere."""
ENDED = ("finished", IMPORTED)
"""Statuses of runs in which there is nothing to go on with."""
STARTING = "starting"
"""Status of a run until its first step."""
OF_AN_END = ("type", "results", "selected_on", "checkpoint", "reason", "way_back", "pause_unit", "pause_count")
"""What a status holds of how a run ended, or was to wait, which does not hold once it goes on."""
MEASURED = "channel_statistics"
"""Key of run.json: means and deviations that the settings left to the images."""
PARTS = ("config.toml", "run.json", "status.json", "holder.json", "run.lock", "console.log", LABELS, METRICS, EVENTS)
"""Files of a run's folder that are ours; what else lies there is somebody's."""
WRITABLE = f"{TEMPORARY_PREFIX}writable"
"""Name of a file that is written and removed to learn whether a folder can be written."""
LOCK_PATIENCE = 0.3
"""Seconds to wait for a lock; somebody who only looks whether a run is alive holds it for a moment."""


class RunDirectory:
    """A run directory that this process owns: it holds the lock until `close`.

    Attributes:
        notices: sentences that whoever trains in it is told.
        accepts_changed_data: whether it may go on with other images than it was trained with.
        is_new: whether this process made the folder.
        chores: what may fail without ending the run.
        inbox: what other processes ask of this one.
        is_owned: whether this process writes in it; of several that train together only the first one does.
        alerts: what the person who trains in it is told of; nothing of it is written there.
    """

    is_owned = True
    alerts = AlertSettings()

    def __init__(self, path: Path, config: RunConfig, notices: tuple[str, ...] = (), *, is_new: bool = False) -> None:
        self.path = path
        self.config = config
        self.notices = notices
        self.accepts_changed_data = False
        self.is_new = is_new
        self.chores = Chores()
        self._token = secrets.token_hex(16)
        self.inbox = Inbox(self._token)
        self._descriptor: int | None = None
        self._status: dict[str, Any] = {}
        self._found: dict[str, Any] = {}
        self._taken_over: list[Path] = []
        self._lock = FileLock(path / "run.lock", timeout=LOCK_PATIENCE)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise RunLocked(
                f"run {path.name} is in use by {holder(path)}; stop it first, or start another run"
            ) from error
        except OSError as error:
            raise RunError(f"cannot lock {path}: {error.strerror or error}") from error
        try:
            self._settle_in()
        except BaseException:
            self.close()
            raise

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

    def say_starting(self) -> None:
        """Say that the run goes on from where it stood; how it ended before does not hold any more.

        Raises:
            RunError: the file cannot be written.
        """
        self._found, _ = read_status(self.path / "status.json")
        stands = {key: value for key, value in self._found.items() if key not in OF_AN_END}
        self.write_status({**stands, "status": STARTING})

    def note(self, record: dict[str, Any]) -> None:
        """Add to what run.json says of the run; what `record` does not name stays as it was.

        Raises:
            RunError: the file cannot be written.
        """
        _write(self.path / "run.json", {**read_begun(self.path), **record})

    def settle(self, config: RunConfig) -> None:
        """Replace the settings by those with what was found out when the run began; whoever goes on reads these.

        Raises:
            RunError: config.toml cannot be written.
        """
        path = self.path / "config.toml"
        try:
            write_atomically(path, settings_text(config).encode())
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}; nothing was trained") from error
        self.config = config

    def take_over(self, checkpoint: Path) -> None:
        """Copy a checkpoint of another run into this one.

        Raises:
            OSError: it cannot be copied.
        """
        copy = self.checkpoints / checkpoint.name
        self._taken_over.append(copy)
        shutil.copyfile(checkpoint, copy)

    def find_again(self) -> bool:
        """Notice that the folder was renamed, and go on in it; or that it is gone, and have that told.

        Returns:
            Whether `path` is the folder that was opened.
        """
        if self._descriptor is None:
            return True
        if _is_same(self.path, self._descriptor):
            return True
        # Linux knows where an open folder is now; elsewhere, and when it was removed, this names no folder of ours.
        try:
            now = Path(os.readlink(f"/proc/self/fd/{self._descriptor}"))
        except OSError:
            now = self.path
        if not _is_same(now, self._descriptor):
            self.chores.tell(
                f"the run's folder {self.path} is gone, and nothing can be saved: put it back where it was, or stop"
            )
            return False
        self.chores.tell(f"the run's folder {self.path} was renamed: the run goes on in {now}")
        self.path = now
        return True

    def discard(self) -> None:
        """Remove a folder that this process made and in which nothing came of it; what others put there stays.

        A run that was to go on stands as it was found.
        """
        if not self.is_new:
            self._put_back()
            return
        for copy in self._taken_over:
            with contextlib.suppress(OSError):
                copy.unlink(missing_ok=True)
        _remove_unused(self.path)

    def _put_back(self) -> None:
        if self._found and self._status.get("status") == STARTING:
            with contextlib.suppress(RunError):
                _write(self.path / "status.json", self._found)

    def close(self) -> None:
        """Let go of the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._lock.release()

    def _settle_in(self) -> None:
        """Say who owns the run, and find out now whether it can be written to, not at the first save.

        Raises:
            RunError: a file cannot be written.
        """
        holds = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time(), "token": self._token}
        _write(self.path / "holder.json", holds)
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            self.checkpoints.mkdir(exist_ok=True)
            remove_leftovers(self.path)
            remove_leftovers(self.checkpoints)
            write_atomically(self.checkpoints / WRITABLE, b"")
            (self.checkpoints / WRITABLE).unlink()
        except OSError as error:
            raise RunError(
                f"cannot write to {self.checkpoints}: {error.strerror}; nothing of it was changed"
            ) from error


def require_run_name(name: str) -> None:
    """Refuse what is no name of a run's folder.

    Raises:
        RunError: it is not a plain file name.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", name):
        raise RunError(f"{name!r} is no run name; use up to 64 letters, digits, dots, dashes and underscores")


def create_run(root: Path, name: str, config: RunConfig, command: list[str]) -> RunDirectory:
    """Make a new run directory and take its lock; relative paths of its images and weights become absolute.

    Raises:
        RunError: the name is not a plain file name, or the folder cannot be written.
        ConfigError: see `settings_text`.
    """
    require_run_name(name)
    config = _with_absolute_paths(config)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    settings = settings_text(config).encode()
    begun = {"command": command, "working_folder": os.getcwd(), "created": stamp, "created_at": time.time()}
    path = None
    try:
        path = _make_folder(root, f"{stamp}-{name}")
        (path / "checkpoints").mkdir()
        write_atomically(path / "config.toml", settings)
        _write(path / "run.json", {**begun, "folder": path.name, "versions": versions(), PLUGINS: plugin_records()})
        return RunDirectory(path, config, is_new=True)
    except BaseException as error:
        if path is not None:
            _remove_unused(path)
        if isinstance(error, OSError):
            raise RunError(f"cannot write to {root}: {error.strerror}; set CLAF_RUNS_DIR to another folder") from error
        raise


def _with_absolute_paths(config: RunConfig) -> RunConfig:
    """The same settings wherever somebody stands who goes on with the run."""
    data = config.data.model_copy(update={"source": absolute_source(config.data.source, Path())})
    weights = config.model.weights
    absolute = None if weights is None else str(Path(weights).expanduser().absolute())
    return config.model_copy(update={"data": data, "model": config.model.model_copy(update={"weights": absolute})})


def open_run(path: Path, *, restart: bool = False) -> RunDirectory:
    """Take over a run directory to go on training in it.

    Args:
        path: the folder.
        restart: begin anew a run that has taken steps and lost its checkpoints; its records are kept under other names.

    Raises:
        RunLocked: another process trains in it.
        RunError: its configuration cannot be read, or it is finished, or it was imported; it has taken steps and has no
            checkpoint, and `restart` is not asked for; or it is asked for, and there are checkpoints.
    """
    require_unended(path)
    directory = RunDirectory(path, read_config(path), plugin_changes(path))
    try:
        _require_way_on(path, restart=restart)
        directory.say_starting()
    except BaseException:
        directory.close()
        raise
    return directory


def require_unended(path: Path) -> None:
    """Refuse a run in which there is nothing to go on with.

    Raises:
        RunEnded: it is finished, or was imported.
    """
    if (status := summarise(path).status) in ENDED:
        ending = f"run {path.name} is {status}"
        raise RunEnded(f"{ending}; evaluate it with `claf-tui eval {path.name}`, or start a new run", ending)


def _require_way_on(path: Path, *, restart: bool) -> None:
    """Refuse to begin a run anew that nobody meant to begin anew."""
    has_checkpoints = bool(list_checkpoints(path))
    if restart and has_checkpoints:
        raise RunError(f"run {path.name} has checkpoints to go on from; leave --restart out, or start another run")
    if restart or has_checkpoints:
        return
    try:
        num_records = count_records(path)
    except OSError as error:
        raise RunError(f"cannot read the records of {path}: {error.strerror}") from error
    if num_records:
        raise RunError(
            f"run {path.name} has {num_records} records of training and no checkpoint to go on from; bring its "
            f"checkpoints back, or begin it anew with `claf-tui train --resume {path.name} --restart`, which keeps the "
            "records under other names"
        )


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
    for key, value in flat_settings(plain):
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise ConfigError(f"{key} is {value!r}, which is not UTF-8; give that folder another name") from error
    return tomli_w.dumps(plain)


def flat_settings(plain: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings of nested sections, each under its whole key: "attack.steps"."""
    for key, value in plain.items():
        if isinstance(value, Mapping):
            yield from flat_settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": sys.version.split()[0], "platform": platform.platform()}
    return found | {name: _version(name) for name in ("claf-tui", "torch", "torchvision", "numpy", "safetensors")}


@cache
def _version(package: str) -> str:
    """Version of a package when it was first asked for: it is told with every checkpoint, and reading it is slow."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _is_same(path: Path, descriptor: int) -> bool:
    """Whether a path names the folder that is open, for all that can be seen."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _remove_unused(path: Path) -> None:
    """Remove our files of a run that has no checkpoints, and its folder where nothing else lies there."""
    with contextlib.suppress(OSError):
        (path / "checkpoints").rmdir()
    if (path / "checkpoints").exists():
        return
    with contextlib.suppress(OSError):
        (path / CONTROL).rmdir()
    for part in PARTS:
        with contextlib.suppress(OSError):
            (path / part).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.rmdir()


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


def read_begun(run: Path) -> dict[str, Any]:
    """What run.json says of how a run was begun; nothing where it cannot be read."""
    try:
        return read_object(run / "run.json", STATUS_CAP)
    except ForeignFileError:
        return {}


def _write(path: Path, record: dict[str, Any]) -> None:
    try:
        write_atomically(path, json.dumps(record, indent=1).encode())
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}; the last checkpoint is whole") from error
