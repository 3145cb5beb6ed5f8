"""Whether a run can be gone on with from a checkpoint: told before anything is left for it, or made. No torch."""

import os
from collections.abc import Sequence
from pathlib import Path

from claf_engine.config.presets import parse_override
from claf_engine.runs.branch import changed_settings, origin_of
from claf_engine.runs.folder import read_config, require_unended
from claf_engine.runs.header import read_info
from claf_engine.runs.listing import list_checkpoints
from claf_engine.terms.errors import RunError


def goes_on_in_its_run(checkpoint: Path, changes: Sequence[str] = ()) -> bool:
    """Whether a checkpoint is the newest of its run that can be read, and no setting changes; else a new run begins.

    Raises:
        RunError: the folder cannot be looked into.
    """
    entries = list_checkpoints(checkpoint.absolute().parent.parent)
    newest = next((entry.path for entry in entries if entry.info is not None), None)
    return not changes and newest is not None and newest.resolve() == checkpoint.resolve()


def require_resumable(checkpoint: Path, root: Path, changes: Sequence[str] = ()) -> None:
    """Refuse a checkpoint that no run can go on from, as `open_run` and `branch_run` would; nothing is changed.

    Whether a process trains in the run is not looked at: it may be this one, which leaves it.

    Args:
        checkpoint: of a run.
        root: the folder of a new run's folder.
        changes: settings that differ from there on, such as "attack.steps=10".

    Raises:
        RunEnded: it is the newest one of a run that has ended.
        CheckpointError: it cannot be read, or does not lie in a run directory.
        ConfigError: a setting is wrong, or must stay as it is.
        RunError: the run's configuration cannot be read, or the folder cannot be written.
    """
    read_info(checkpoint)
    run = origin_of(checkpoint)
    if goes_on_in_its_run(checkpoint, changes):
        require_unended(run)
        read_config(run)
        _require_writable(run)
        _require_writable(run / "checkpoints")
        return
    changed_settings(read_config(run), map(parse_override, changes))
    _require_writable(root)


def _require_writable(folder: Path) -> None:
    """Refuse a folder in which nothing can be made; of one that is not there yet, the folder that it will be made in.

    Raises:
        RunError: nothing can be.
    """
    place = next(place for place in (folder, *folder.parents) if place.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise RunError(f"cannot write to {place}; make it writable, or set CLAF_RUNS_DIR to another folder")
