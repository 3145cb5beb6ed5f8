"""Whether the images are those that a checkpoint was trained with, and the settings those that a run goes on with."""

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from claf_engine.config import DataConfig, RunConfig
from claf_engine.config.sources import absolute_source, is_relative, path_of
from claf_engine.data import Dataset
from claf_engine.data.fingerprint import SPLITS, Changes, Fingerprint, SplitName, changes_of, class_changes
from claf_engine.runs import to_plain
from claf_engine.runs.branch import Branch
from claf_engine.runs.folder import flat_settings
from claf_engine.runs.header import CheckpointInfo
from claf_engine.runs.trained import setting_changes, settings_of
from claf_engine.terms.errors import CheckpointError, DataError, RunError
from claf_engine.training.phase import Phase
from claf_engine.training.state import Cursor, TrainState

DRAWN = "shapes"
"""The source whose images are drawn and not read: its settings say which, but processors round them differently."""


def placed_images(config: DataConfig, run: str) -> tuple[DataConfig, tuple[str, ...]]:
    """Where the images of a run lie; earlier code kept relative paths, whose base nobody knows.

    Args:
        config: of the run.
        run: its name.

    Returns:
        Settings with an absolute path, and a notice where that was taken from the working folder.

    Raises:
        DataError: the path is relative, and no such folder is in the working folder.
    """
    if not is_relative(config.source):
        return config, ()
    source = absolute_source(config.source, Path())
    if not path_of(source).exists():
        raise DataError(
            f"run {run} of earlier code was trained on {config.source}, relative to a folder that it did not keep, and "
            f"{path_of(source)} is not there; go to the folder that it was trained from"
        )
    notice = f"run {run} of earlier code keeps the relative path {config.source}: {source} was taken for it"
    return config.model_copy(update={"source": source}), (notice,)


def compare_images(
    info: CheckpointInfo, data: Dataset, *, is_accepted: bool, splits: Collection[SplitName] = SPLITS
) -> tuple[str, ...]:
    """Compare the images that are there with those that a checkpoint was trained with.

    Args:
        info: the checkpoint.
        data: the images of its run, as they are now.
        is_accepted: whether changed images are told instead of refused.
        splits: those that matter.

    Returns:
        Notices: of changes that were accepted, or that nothing can be compared.

    Raises:
        DataError: they differ and that is not accepted, or there are more or fewer classes.
    """
    then = Fingerprint.from_record(info.metadata.get("claf.data"))
    if then is None:
        trained = tuple(map(str, info.metadata.get("claf.class_names", data.class_names)))
        changes = Changes(class_changes(trained, data.class_names))
        notices = () if "claf.imported" in info.metadata else (_unknown(info),)
    else:
        changes, notices = changes_of(then, Fingerprint.of(data, splits)), ()
    if not changes:
        return notices
    if data.name == DRAWN and not changes.classes and not changes.numbers:
        return (f"the shapes drawn here differ in some levels from those of {info.path.name} ({changes})",)
    num_classes = len(info.metadata.get("claf.class_names", data.class_names))
    if num_classes != len(data.class_names) or not is_accepted:
        fix = "restore them" if num_classes != len(data.class_names) else "restore them, or give --accept-changed-data"
        raise DataError(
            f"the images of {data.name} are not those that {info.path.name} of run {info.run} was trained with "
            f"({changes}); {fix}"
        )
    return (*notices, f"changed data was accepted: {changes}, since {info.path.name} of run {info.run}")


def require_same_settings(info: CheckpointInfo, config: RunConfig, branch: Branch | None = None) -> None:
    """Refuse to go on from a checkpoint under settings that would have trained something else.

    Where images lie may change, when the checkpoint knows their fingerprint; and so may, at the checkpoint that a
    branch begins at, what the branch is recorded to change.

    Raises:
        RunError: with each setting that differs.
        CheckpointError: it does not say its settings.
    """
    changes = setting_changes(settings_of(info), config)
    if Fingerprint.from_record(info.metadata.get("claf.data")) is not None:
        changes.pop("data.source", None)
    if branch is not None and branch.begins_at(info):
        now = dict(flat_settings(to_plain(config)))
        changes = {
            key: words
            for key, words in changes.items()
            if key not in branch.settings or branch.settings[key] != now.get(key)
        }
    if changes:
        file = info.path.absolute().parent.parent / "config.toml"
        raise RunError(
            f"config.toml of run {info.run} is not what {info.path.name} was trained with: "
            f"{'; '.join(changes.values())}; put these values back, or begin a new run with "
            f"`claf-tui train --config {shlex.quote(str(file))}`"
        )


def settled(config: RunConfig, data: Dataset) -> tuple[RunConfig, tuple[str, ...]]:
    """The settings with what depends on the images: means and deviations of channels, where these are measured.

    Returns:
        The settings, and what was measured in words; nothing where all was given.

    Raises:
        DataError: the images have other channels than the model.
    """
    require_channels(config, data)
    if config.model.num_channels:
        return config, ()
    found = data.train.statistics
    model = config.model.model_copy(update={"mean": found.mean, "std": found.std})
    mean, std = (", ".join(f"{value:.4f}" for value in values) for values in (found.mean, found.std))
    sentence = f"channel means {mean} and deviations {std} were measured on the {len(data.train)} training images"
    return config.model_copy(update={"model": model}), (sentence,)


def require_channels(config: RunConfig, data: Dataset) -> None:
    """Refuse images of other channels than the network takes; one whose statistics are not measured takes any.

    Raises:
        DataError: they have others.
    """
    found, wanted = data.test.images.shape[1], config.model.num_channels
    if wanted not in (0, found):
        raise DataError(
            f"the images of {data.name} have {found} channel{'s' * (found > 1)} and the network takes {wanted}, one "
            "for each value of model.mean; take other images, or have both measured with --set model.mean=[] --set "
            "model.std=[]"
        )


def begin_branch(state: TrainState, branch: Branch) -> tuple[str, ...]:
    """Let what a branch changes count from its first step on, and say what that undoes.

    A live edit of the learning rate or of a setting, made before the checkpoint, would change the value that the branch
    names.

    Args:
        state: of the checkpoint that the branch begins at; changed here.
        branch: what it changes.

    Returns:
        Notices: where the branch comes from, and what became of what was there.
    """
    notices = [branch.describe()]
    ledger = state.ledger
    if any(key.endswith("learning_rate") for key in branch.settings) and ledger.learning_rate_factor != 1:
        notices.append(f"the learning rate had been edited to {ledger.learning_rate_factor:.4g} times its own; no more")
        ledger.learning_rate_factor = 1.0
    undone = sorted(ledger.edits.keys() & branch.settings.keys())
    notices += [f"{key} had been edited to {ledger.edits.pop(key)}; no more" for key in undone]
    return tuple(notices)


def phase_is_over(cursor: Cursor, phases: Sequence[Phase]) -> tuple[str, ...]:
    """Say that a branch has no epochs left of the phase that it begins in, where that is so."""
    if cursor.phase < len(phases) and cursor.epoch > (phase := phases[cursor.phase]).epochs:
        return (f"{cursor.epoch} epochs of {phase.title} are done, more than its {phase.epochs}: it ends here",)
    return ()


def fit_to_images(state: TrainState, num_train: int, info: CheckpointInfo, *, is_accepted: bool) -> None:
    """Leave images out of a state's current pass that are not there any more, where changed images are accepted.

    Raises:
        DataError: images are not there any more, and that is not accepted.
        CheckpointError: the state keeps something for each image, and there are more or fewer of them now.
    """
    for kept in (state.features, state.perturbations):
        if kept is not None and len(kept) != num_train:
            raise CheckpointError(
                f"{info.path.name} keeps something for each of {len(kept)} training images, and there are {num_train} "
                "now; restore them, or go on from a checkpoint of another phase"
            )
    is_there = state.order < num_train
    if not is_accepted and not is_there.all():
        raise DataError(
            f"{info.path.name} was saved inside a pass over more than the {num_train} training images that are there; "
            "restore them, or give --accept-changed-data"
        )
    state.order = state.order[is_there]


def _unknown(info: CheckpointInfo) -> str:
    return f"{info.path.name} is of earlier code and does not know its images, so that they could not be compared"
