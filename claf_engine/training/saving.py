"""Which checkpoints are written, and which are kept: the newest few, the best, an early one, and those asked for."""

import contextlib
import shutil
import time
from pathlib import Path

from claf_engine.data.fingerprint import Fingerprint
from claf_engine.events import CheckpointSaved
from claf_engine.models.network import ATTACK_CLASSIFIER
from claf_engine.runs import CheckpointEntry, RunDirectory, list_checkpoints, to_plain, versions
from claf_engine.runs.chores import Chores
from claf_engine.runs.durable import sync_folder
from claf_engine.runs.header import read_info
from claf_engine.terms.errors import CheckpointError, RunError
from claf_engine.training.checkpoint import (
    Description,
    NotDurable,
    checkpoint_path,
    largest_trained_value,
    load_checkpoint,
    save_checkpoint,
)
from claf_engine.training.methods import begun_classifiers, phases_of
from claf_engine.training.phase import Phase
from claf_engine.training.session import Session
from claf_engine.training.state import TrainState

MIB = 2**20
ORDINARY = 1e3
"""Weights, momenta and their squares of networks with BatchNorm are a hundredth of it; beyond, a run is diverging."""
KEPT = {"best", "requested", "early"}
"""Why a checkpoint is kept however old it is."""
FLUSH = "flush the folder of checkpoints to the disk"


def describe(
    session: Session, directory: RunDirectory, phase: Phase, num_records: int, *, requested: bool
) -> Description:
    """What a checkpoint of this moment says of itself."""
    compute, validation = session.compute, session.state.ledger.validation
    classifier = phase.classifier or ATTACK_CLASSIFIER
    if validation and classifier not in validation:
        # A phase has begun whose classifier is not fitted yet; the one before it was measured on this same encoder.
        classifier = list(validation)[-1]
    figures = validation.get(classifier, {})
    return Description(
        run=directory.path.name,
        config=to_plain(directory.config),
        phase=phase.title,
        metrics={f"validation_{name}": value for name, value in figures.items()},
        classifier=classifier,
        class_names=session.data.class_names,
        num_records=num_records,
        compute=compute.record(),
        versions=versions(),
        requested=requested,
        begun_classifiers=begun_classifiers(phases_of(session.config), session.state.cursor),
        data=Fingerprint.of(session.data).to_record(),
        image_size=session.data.image_size,
        progress=progress(session),
    )


def progress(session: Session) -> float:
    """Which part of the optimiser steps that its settings plan a run has taken, in [0, 1]."""
    planned = sum(phase.plan(session.steps_per_sweep).steps for phase in phases_of(session.config))
    return session.state.cursor.step / planned if planned else 1.0


def save(
    session: Session, directory: RunDirectory, phase: Phase, num_records: int, *, requested: bool
) -> CheckpointSaved:
    """Write a checkpoint of this moment, then delete those that need not be kept.

    Raises:
        CheckpointError: it cannot be written; nothing was deleted.
        NonFiniteLoss: a weight is not finite; nothing was written.
    """
    started = time.monotonic()
    path = checkpoint_path(directory.checkpoints, session.state.cursor.step)
    description = describe(session, directory, phase, num_records, requested=requested or _was_requested(path))
    try:
        num_bytes = save_checkpoint(path, session.state, description)
    except NotDurable as error:
        # Older ones stay: until the folder is flushed, a crash of the machine might take the new one away.
        directory.chores.failed(FLUSH, error)
        num_bytes = error.num_bytes
        entries = _entries(directory)
    else:
        entries = _entries(directory)
        delete_surplus(entries, session.config.checkpoint.keep_last, directory.chores)
    kept_as = next((entry.kept_as for entry in entries if entry.path == path), ())
    seconds = time.monotonic() - started
    cursor = session.state.cursor
    return CheckpointSaved(cursor.step, cursor.phase, str(path), num_bytes, kept_as, seconds)


def delete_surplus(entries: list[CheckpointEntry], keep_last: int, chores: Chores) -> list[CheckpointEntry]:
    """Delete all but the newest `keep_last` and those that are `KEPT`; unreadable files are left alone.

    Returns:
        What was deleted. What could not be is surplus the next time too.
    """
    deleted: list[CheckpointEntry] = []
    readable = [entry for entry in entries if entry.info is not None]
    surplus = [entry for entry in readable[keep_last:] if not set(entry.kept_as) & KEPT]
    for entry in surplus:
        with chores.attempt("delete an old checkpoint"):
            entry.path.unlink(missing_ok=True)
            deleted.append(entry)
    if deleted:
        with chores.attempt(FLUSH):
            sync_folder(deleted[0].path.parent)
    return deleted


def _entries(directory: RunDirectory) -> list[CheckpointEntry]:
    """The checkpoints as far as the folder can be looked into; what is not seen is not deleted."""
    try:
        return list_checkpoints(directory.path)
    except RunError as error:
        directory.chores.failed("look through the checkpoints", error)
        return []


def require_room(folder: Path, state: TrainState, num_networks: int = 1) -> None:
    """Refuse to train where not even its networks fit on the disk once.

    Args:
        folder: of the checkpoints.
        state: what they will hold, and more: optimisers have not begun to remember.
        num_networks: how many each will hold: an average of the weights is a second one.

    Raises:
        RunError: there is too little room, or the folder is gone.
    """
    size = sum(tensor.numel() * tensor.element_size() for tensor in state.network.state_dict().values())
    needed = num_networks * size
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}") from error
    if free < needed:
        raise RunError(
            f"the disk of {folder} has {free / MIB:.1f} MiB left, and a checkpoint takes more than {needed / MIB:.1f} "
            "MiB; make room first"
        )


def _was_requested(path: Path) -> bool:
    """Whether a person asked for this step's checkpoint before the end of an epoch, or a stop, saves it once more."""
    try:
        return bool(read_info(path).metadata.get("claf.requested"))
    except CheckpointError:
        return False


def newest_sound(directory: RunDirectory) -> str | None:
    """The file of the newest whole checkpoint that a diverging run saved before it blew up, or None."""
    for entry in _entries(directory):
        with contextlib.suppress(CheckpointError):
            if largest_trained_value(load_checkpoint(entry.path)[1]) <= ORDINARY:
                return str(entry.path)
    return None


def newest(directory: RunDirectory) -> str | None:
    """The file of the newest checkpoint that can be read, or None when there is none."""
    return next((str(entry.path) for entry in _entries(directory) if entry.info is not None), None)
