"""Which of several runs is the newest: by what their folders recorded, and not by what they are called. No torch."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from claf_engine.runs.foreign import STATUS_CAP, read_object
from claf_engine.terms.errors import ForeignFileError

DAY = 86_400.0
STAMP = "%Y%m%d-%H%M%S"
"""Of the local time that names a run's folder."""


class Age(NamedTuple):
    """Sorts runs, the newest last.

    Attributes:
        begun: seconds since the epoch.
        heard: of its last sign of life; of a run and its copy, the one that was gone on with is the newer.
        is_original: the folder has the name that it was made with, which a copy has not.
        shortness: minus the length of its name; earlier code did not record the name, and copies have longer ones.
        name: so that the order is always the same.
    """

    begun: float
    heard: float
    is_original: bool
    shortness: int
    name: str


def age_of(run: Path, status: Mapping[str, Any]) -> Age:
    """How new a run is; a folder that does not say when it was begun counts from its configuration's change.

    Args:
        run: its folder.
        status: what its status.json holds.
    """
    begun = _read(run / "run.json")
    since = _moment(begun.get("created_at")) or _stamped(begun.get("created")) or _stamped(run.name[:15])
    return Age(
        begun=since or _changed(run / "config.toml"),
        heard=_moment(status.get("heartbeat")),
        is_original=begun.get("folder") == run.name,
        shortness=-len(run.name),
        name=run.name,
    )


def _moment(value: object) -> float:
    """Seconds since the epoch; 0 where it is none, or lies in the future, where nothing can have been begun."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 < value < time.time() + DAY else 0.0


def _stamped(value: object) -> float:
    try:
        return _moment(time.mktime(time.strptime(str(value), STAMP)))
    except (ValueError, OverflowError):
        return 0.0


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_object(path, STATUS_CAP)
    except ForeignFileError:
        return {}
