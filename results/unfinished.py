"""Runs that go on elsewhere: what a run needs to be resumed, in a small folder, and the way back.

Kept are the settings, the records up to the newest checkpoint, that checkpoint, the best one so far, without which the
run might choose another network in the end, and the early one, which its audit attacks from. Pictures of probes and
cards stay behind.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from claf_engine.config.sources import absolute_source
from claf_engine.runs.foreign import STATUS_CAP, read_object, read_toml
from claf_engine.runs.header import CheckpointInfo
from claf_engine.runs.journal import EVENTS, METRICS, read_records
from claf_engine.runs.listing import list_checkpoints
from claf_engine.terms.errors import CheckpointGone, RunError
from claf_engine.training.checkpoint import load_checkpoint, whole_sha256
from results.cleaning import cleaned

SETTINGS, CHECKPOINTS = "config.toml", "checkpoints"
RECORDS = ("run.json", "status.json")
KEPT = {"last", "best", "early"}
ATTEMPTS = 5
"""A run that trains deletes old checkpoints while they are copied."""
OWN_HASH, OWN_SETTINGS = "claf.sha256", "claf.config"


def keep(run: Path, folder: Path) -> bool:
    """Copy what a run needs to go on below a folder, in place of what was kept of it before.

    Args:
        run: its folder; it may train meanwhile.
        folder: where unfinished runs are kept.

    Returns:
        Whether it has a checkpoint to go on from; without one nothing is kept.

    Raises:
        ClafError: a file of it cannot be read.
    """
    target = folder / run.name
    partial = folder / f".{run.name}"
    infos = _copied_checkpoints(run, partial / CHECKPOINTS, target / CHECKPOINTS)
    if not infos:
        shutil.rmtree(partial, ignore_errors=True)
        return False
    (partial / SETTINGS).write_text(tomli_w.dumps(cleaned(read_toml(run / SETTINGS))), encoding="utf-8")
    for name in RECORDS:
        text = json.dumps(cleaned(read_object(run / name, STATUS_CAP)), indent=1)
        (partial / name).write_text(text, encoding="utf-8")
    num_records = max(infos, key=lambda info: info.step).num_records
    for name in (METRICS, EVENTS):
        known = (record for record in read_records(run / name) if record["seq"] < num_records)
        (partial / name).write_text(_lines(known), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return True


def restore(kept: Path, root: Path, source: str | None = None) -> Path:
    """Put a kept run below a folder of runs, where `claf-tui train --resume` goes on with it.

    Args:
        kept: its folder below the unfinished ones.
        root: folder of the runs.
        source: where its images lie here, such as "folder:images"; None leaves the settings as they were kept.

    Raises:
        RunError: there is a run of this name already, or nothing is kept.
    """
    target = root / kept.name
    if target.exists():
        raise RunError(f"{target} is there already; go on with that one, or move it away first")
    if not (kept / SETTINGS).is_file():
        raise RunError(f"nothing is kept of a run at {kept}; the folder results/unfinished holds those that are")
    root.mkdir(parents=True, exist_ok=True)
    shutil.copytree(kept, target)
    if source is not None:
        here = absolute_source(source, Path())
        settings = read_toml(target / SETTINGS)
        settings["data"]["source"] = here
        (target / SETTINGS).write_text(tomli_w.dumps(settings), encoding="utf-8")
        for path in (target / CHECKPOINTS).iterdir():
            _name_source(path, here)
    return target


def _name_source(path: Path, source: str) -> None:
    """Say in a checkpoint where the images lie here: `reproduce` passes over a run that says otherwise than its
    checkpoints.
    """
    _, tensors = load_checkpoint(path)
    told = dict(_metadata(path))
    settings = json.loads(told[OWN_SETTINGS])
    settings["data"]["source"] = source
    told[OWN_SETTINGS] = json.dumps(settings)
    _write(path, tensors, told)


def _copied_checkpoints(run: Path, target: Path, before: Path) -> list[CheckpointInfo]:
    """Copy the checkpoints that are kept; gives their headers."""
    for attempt in range(ATTEMPTS):
        shutil.rmtree(target.parent, ignore_errors=True)
        entries = [entry for entry in list_checkpoints(run) if KEPT.intersection(entry.kept_as)]
        if not entries:
            return []
        target.mkdir(parents=True)
        try:
            for entry in entries:
                _copy_cleaned(entry.path, target / entry.path.name, before / entry.path.name)
        except CheckpointGone:
            if attempt == ATTEMPTS - 1:
                raise
            continue
        return [entry.info for entry in entries if entry.info is not None]
    return []


def _copy_cleaned(path: Path, target: Path, before: Path) -> None:
    """Copy a checkpoint, without paths in what it says of itself, and with the hash of what it says then.

    A copy that was kept before and says the same stays byte for byte: the order of metadata in a file is arbitrary.
    """
    _, tensors = load_checkpoint(path)
    told = {key: _cleaned_json(text) for key, text in _metadata(path).items()}
    if before.is_file() and _metadata(before) == _sealed(tensors, told):
        shutil.copyfile(before, target)
    else:
        _write(target, tensors, told)


def _write(path: Path, tensors: Mapping[str, Tensor], told: Mapping[str, str]) -> None:
    path.write_bytes(save(dict(tensors), _sealed(tensors, told)))


def _sealed(tensors: Mapping[str, Tensor], told: Mapping[str, str]) -> dict[str, str]:
    """What a checkpoint says of itself, with the hash of tensors and all else that it says."""
    others = {key: text for key, text in told.items() if key != OWN_HASH}
    return {**others, OWN_HASH: json.dumps(whole_sha256(tensors, others))}


def _metadata(path: Path) -> Mapping[str, str]:
    with safe_open(path, framework="numpy") as file:
        metadata: Mapping[str, str] = file.metadata()
    return metadata


def _cleaned_json(text: str) -> str:
    return json.dumps(cleaned(json.loads(text)))


def _lines(records: Iterable[Mapping[str, Any]]) -> str:
    return "".join(f"{json.dumps(cleaned(record))}\n" for record in records)
