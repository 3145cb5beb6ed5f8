"""Branches: runs that begin at a checkpoint of another one, and may go on under other settings. No torch."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from claf_engine.config import RunConfig
from claf_engine.config.messages import Layer
from claf_engine.config.presets import Override, resolve_layers
from claf_engine.runs.folder import RunDirectory, create_run, flat_settings, read_begun, read_config, to_plain
from claf_engine.runs.header import CheckpointInfo, read_info
from claf_engine.runs.journal import EVENTS, METRICS
from claf_engine.runs.plugins import plugin_changes
from claf_engine.runs.trained import differences
from claf_engine.terms.errors import CheckpointError, ConfigError, RunError

BRANCH = "branch"
"""Key of run.json."""
KEPT = (
    "method",
    "seed",
    "batch_size",
    "data.",
    "model.",
    "attack.warm_start",
    "adversarial.classifier_refresh",
    "adversarial.replay_passes",
    "adversarial.classifier_fraction",
    "rocl.head",
    "acl.head",
    "acl.streams",
    "acl.measured_statistics",
    "two_encoders.training",
    "two_encoders.measured",
    "pretext.task",
    "pretext.grid",
    "pretext.permutations",
    "pretext.attention_layers",
    "pretext.head",
    "runtime.precision",
    "runtime.layout",
    "runtime.threads",
)
"""Settings that a branch takes over: a checkpoint's tensors, its place in a pass or its arithmetic depend on them."""
MAX_NAME = 48
"""Characters of a run's name that its branches are named after."""


@dataclass(frozen=True)
class Branch:
    """Where a run begins, as its run.json says.

    Attributes:
        run: name of the folder of the run that it branches off from.
        step: of the checkpoint that it begins at.
        weights_sha256: of the same.
        settings: what differs from that run, as plain values: key to value.
        told: the same in words, such as "attack.steps was 5, is 10".
    """

    run: str
    step: int
    weights_sha256: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    told: tuple[str, ...] = ()

    def begins_at(self, info: CheckpointInfo) -> bool:
        """Whether this is the checkpoint that the branch begins at, and none that it has saved itself."""
        return (info.step, info.weights_sha256) == (self.step, self.weights_sha256)

    def describe(self) -> str:
        """Say where the run comes from and what it changes."""
        changes = f": {'; '.join(self.told)}" if self.told else ", with the same settings"
        return f"this run branches off from step {self.step} of {self.run}{changes}"


def branch_run(
    checkpoint: Path, root: Path, command: list[str], changes: Iterable[Override] = (), name: str | None = None
) -> RunDirectory:
    """Make a run that begins at a checkpoint of another one, with its history up to there; the other stays as it is.

    Args:
        checkpoint: lies in the checkpoints folder of a run.
        root: the folder of the new run's folder.
        command: the command line, for the record.
        changes: settings that differ from the other run's.
        name: of the new run; by default the other's with "-from-STEP".

    Raises:
        CheckpointError: the checkpoint cannot be read, or does not lie in a run directory.
        ConfigError: a setting is wrong, or is one of `KEPT`.
        RunError: the new directory cannot be written.
    """
    info = read_info(checkpoint)
    origin = origin_of(checkpoint)
    before = read_config(origin)
    config = changed_settings(before, changes)
    told, now = differences(to_plain(before), to_plain(config)), dict(flat_settings(to_plain(config)))
    settings = {key: now.get(key) for key in told}
    branch = Branch(origin.name, info.step, info.weights_sha256, settings, tuple(told.values()))
    name = name or f"{origin.name.split('-', 2)[-1][:MAX_NAME]}-from-{info.step}"
    directory = create_run(root, name, config, command)
    directory.notices = plugin_changes(origin)
    try:
        directory.note({BRANCH: asdict(branch)})
        for file in (METRICS, EVENTS):
            if (origin / file).exists():
                shutil.copyfile(origin / file, directory.path / file)
        directory.take_over(checkpoint)
    except BaseException as error:
        directory.discard()
        directory.close()
        if isinstance(error, OSError):
            raise RunError(f"cannot copy {checkpoint} to {root}: {error.strerror}") from error
        raise
    return directory


def origin_of(checkpoint: Path) -> Path:
    """The folder of the run that a checkpoint belongs to.

    Raises:
        CheckpointError: it does not lie in a run directory.
    """
    origin = checkpoint.absolute().parent.parent
    if not (origin / "config.toml").is_file():
        raise CheckpointError(f"{checkpoint} does not lie in a run's checkpoints folder, so no run can go on from it")
    return origin


def recorded_branch(run: Path) -> Branch | None:
    """Where a run branches off from, as its folder says; None where it says nothing that can be read."""
    return branch_of(read_begun(run).get(BRANCH))


def branch_of(record: Any) -> Branch | None:
    """Where a run branches off from, as its run.json says under `BRANCH`."""
    if not isinstance(record, Mapping):
        return None
    settings, told = record.get("settings"), record.get("told")
    return Branch(
        run=str(record.get("run", "")),
        step=step if isinstance(step := record.get("step"), int) else -1,
        weights_sha256=str(record.get("weights_sha256", "")),
        settings=settings if isinstance(settings, Mapping) else {},
        told=tuple(map(str, told)) if isinstance(told, list) else (),
    )


def changed_settings(config: RunConfig, changes: Iterable[Override]) -> RunConfig:
    """The settings of a branch.

    Raises:
        ConfigError: a key or value is wrong, or a checkpoint cannot go on under it.
    """
    changed = resolve_layers([Layer("the run", to_plain(config))], changes)
    then, now = to_plain(config), to_plain(changed)
    lengths = [dict(flat_settings(plain)) for plain in (then, now)]
    refused = [
        key
        for key in differences(then, now)
        if _is_kept(key) or (_is_length(key) and not all(plain[key] for plain in lengths))
    ]
    if refused:
        raise ConfigError(
            f"a run cannot go on from a checkpoint with another {' and '.join(refused)}; leave that out, or start a "
            "new run with it"
        )
    return changed


def _is_kept(key: str) -> bool:
    return key.startswith(KEPT) or key.endswith("optimizer.name")


def _is_length(key: str) -> bool:
    """Whether a setting says how long a phase is: without epochs it is no phase, and checkpoints count phases."""
    return key.endswith("epochs") and not key.startswith("probe.") and not key.endswith("warmup_epochs")
