"""Which of several runs is the newest: by what their folders recorded, and not by what they are called. No torch."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
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
        heard: of its last sign of life, where several runs were begun at one moment, else 0: of a run and its
            copy, the one that was gone on with is the newer.
        is_original: the folder has the name that it was made with, which a copy has not.
        shortness: minus the length of its name; earlier code did not record the name, and copies have longer ones.
        name: so that the order is always the same.
    """

    begun: float
    heard: float
    is_original: bool
    shortness: int
    name: str


class Dated(NamedTuple):
    """The folder of a run, and when it was begun, in seconds since the epoch; 0 where nothing tells."""

    path: Path
    begun: float


def newest_first(runs: Iterable[Path], status_of: Callable[[Path], Mapping[str, Any]]) -> list[Dated]:
    """Sort the folders of runs; one that does not say when it was begun counts from its configuration's change.

    Args:
        runs: their folders.
        status_of: what the status.json of a folder holds; it is asked only for runs that were begun at one moment.
    """
    ages = {run: _age_of(run) for run in runs}
    num_begun = Counter(age.begun for age in ages.values())
    for run, age in ages.items():
        if num_begun[age.begun] > 1:
            ages[run] = age._replace(heard=_moment(status_of(run).get("heartbeat")))
    return [Dated(run, ages[run].begun) for run in sorted(ages, key=lambda run: ages[run], reverse=True)]


def begun_at(run: Path) -> float:
    """When a run was begun, in seconds since the epoch; 0 where nothing tells."""
    return _age_of(run).begun


def _age_of(run: Path) -> Age:
    begun, name = _read(os.path.join(run, "run.json")), run.name
    since = _moment(begun.get("created_at")) or _stamped(begun.get("created")) or _stamped(name[:15])
    return Age(
        begun=since or _changed(run / "config.toml"),
        heard=0.0,
        is_original=begun.get("folder") == name,
        shortness=-len(name),
        name=name,
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


def _read(path: str) -> dict[str, Any]:
    try:
        return read_object(path, STATUS_CAP)
    except ForeignFileError:
        return {}
