"""Which runs a table needs, and which of them are there already.

Rows of different tables share runs: what counts is the configuration, as far as it decides what is trained. A finished
run of it is measured, an unfinished one is gone on with, and only what is missing is trained.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from claf_engine.config import RunConfig
from claf_engine.config.presets import Override, parse_override
from claf_engine.config.sources import absolute_source
from claf_engine.reproduce.equal_compute import EQUAL, equal_epochs
from claf_engine.reproduce.rows import Column, Row, Table, columns_of
from claf_engine.reproduce.scales import autoattacked, budget_of, resolve_recipe, space_overrides
from claf_engine.reproduce.tables import TABLES
from claf_engine.runs import list_checkpoints, list_runs, read_config
from claf_engine.runs.folder import MEASURED, read_begun
from claf_engine.runs.journal import EVENTS, read_records
from claf_engine.runs.trained import settings_of, trained_part
from claf_engine.terms.errors import CheckpointError, ConfigError, ForeignFileError, RunError
from claf_engine.terms.names import ComputeName, ScaleName, SpaceName, TableName

REPRODUCTIONS = "reproductions"
"""Folder beside the runs; it holds no configuration, so that it is not taken for one of them."""

DECIDED = {
    "seed": "--seeds",
    "data.source": "--data",
    "method": "the table",
    **dict.fromkeys(("attack.space", "probe.space", "evaluation.space"), "--space"),
}
"""Settings that `--set` cannot change, and what decides them."""

Action = Literal["reuse", "resume", "new"]


@dataclass(frozen=True)
class ReproductionRequest:
    """What to reproduce.

    Attributes:
        table: which table.
        scale: "paper" is ResNet-18 on CIFAR-10 and needs a GPU, as does "gpu", the same on short schedules; "small" and
            "tiny" are for CPUs.
        space: where attacks live, in training and in evaluation.
        seeds: runs of each row, with seeds from 0 on.
        data: another source than the scale's.
        compute: "own" trains every row for its recipe's epochs, "equal" for as many as cost what the scale allows.
        rows: labels of the rows that are wanted, in any case of letters; none is all of them.
        settings: of every run, such as "runtime.threads=1".
        autoattack: test images under AutoAttack; None is what the scale affords, 0 leaves it out.
        audit: whether every row is audited too.
        root: folder of the runs.
        command: the command line, for the record of new runs.
    """

    table: TableName
    root: Path
    scale: ScaleName = "paper"
    space: SpaceName = "pixel"
    seeds: int = 1
    data: str | None = None
    compute: ComputeName = "own"
    rows: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    autoattack: int | None = None
    audit: bool = True
    command: tuple[str, ...] = ()

    @property
    def directory(self) -> Path:
        """Folder of the finished table."""
        parts: list[str] = [self.table, self.scale, self.space]
        parts += ["equal"] if self.compute == "equal" else []
        parts += [] if self.data is None else [_slug(absolute_source(self.data, Path()))]
        parts += [f"rows-{_digest([label.casefold() for label in self.rows])}"] if self.rows else []
        parts += [f"set-{_digest(self.settings)}"] if self.settings else []
        return self.root / REPRODUCTIONS / "-".join(parts)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The attacks that every row is measured under.

        Raises:
            ConfigError: there is no such table.
        """
        count = autoattacked(self.scale) if self.autoattack is None else self.autoattack
        return columns_of(table_of(self), self.space, count)


@dataclass(frozen=True)
class RunPlan:
    """One run that a table needs.

    Attributes:
        config: what it trains.
        name: what a new one is called, after its date.
        action: measure a finished one, go on with an unfinished one, or begin.
        directory: of the run that is there.
        done: share of it that is trained already, in [0, 1].
    """

    config: RunConfig
    name: str
    action: Action
    directory: Path | None = None
    done: float = 0.0


def table_of(request: ReproductionRequest) -> Table:
    """The table that is asked for, of the rows that are wanted alone.

    Raises:
        ConfigError: there is none of this name, or it is asked for without a seed, in a space or with a row that it has
            not.
    """
    if request.table not in TABLES:
        raise ConfigError(f"there is no table {request.table!r}; use {', '.join(TABLES)}")
    if request.seeds < 1:
        raise ConfigError(f"--seeds {request.seeds}: a row needs at least one run")
    table = TABLES[request.table]
    if table.is_of_the_ball and request.space != "pixel":
        raise ConfigError(f"--space {request.space}: table {table.name} is of the pixel ball alone; leave it out")
    return replace(table, rows=_wanted_rows(table, request.rows)) if request.rows else table


def _wanted_rows(table: Table, labels: Sequence[str]) -> tuple[Row, ...]:
    """The rows of these labels, in the order of the table."""
    known = {row.label.casefold(): row for row in table.rows}
    for label in labels:
        if label.casefold() not in known:
            raise ConfigError(
                f"--row {label!r}: {table.name} has no such row; use {', '.join(row.label for row in table.rows)}"
            )
    wanted = {label.casefold() for label in labels}
    return tuple(row for label, row in known.items() if label in wanted)


def configs_of(request: ReproductionRequest) -> list[RunConfig]:
    """The configuration of every row's first run.

    Raises:
        ConfigError: the table or the data source does not exist, or no seed is asked for.
    """
    return [config_of(request, row, 0) for row in table_of(request).rows]


def make_folder(request: ReproductionRequest) -> None:
    """Make the folder of the finished table.

    Raises:
        RunError: it cannot be written.
    """
    try:
        request.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"cannot write to {request.directory}: {error.strerror}; set CLAF_RUNS_DIR to another folder"
        ) from error


def plan_run(request: ReproductionRequest, row: Row, seed: int) -> RunPlan:
    """Find the run of a row and a seed, or plan a new one.

    Raises:
        ConfigError: the data source has no such form.
    """
    config = config_of(request, row, seed)
    name = run_name(request, row, seed)
    unfinished: RunPlan | None = None
    for summary in list_runs(request.root):
        if not _trains_the_same(summary.directory, config):
            continue
        if summary.status == "finished":
            if any(entry.info is not None for entry in list_checkpoints(summary.directory)):
                return RunPlan(config, name, "reuse", summary.directory, 1.0)
        elif unfinished is None:
            done = summary.record.get("run_fraction")
            share = float(done) if isinstance(done, int | float) else 0.0
            unfinished = RunPlan(config, name, "resume", summary.directory, share)
    return unfinished or RunPlan(config, name, "new")


def config_of(request: ReproductionRequest, row: Row, seed: int) -> RunConfig:
    """The configuration of a row's run.

    Raises:
        ConfigError: the data source has no such form, a setting is wrong or is decided by something else, or the scale
            has no budget to share out equally.
    """
    overrides = [parse_override(text) for text in request.settings]
    decided = dict(DECIDED) | {key: f"row {row.label}" for key, _ in row.changes}
    overrides += [Override(key, value, f"row {row.label}") for key, value in row.changes]
    overrides += space_overrides(request.space, row.recipe)
    overrides.append(Override("seed", seed, "--seeds"))
    if request.data is not None:
        overrides.append(Override("data.source", request.data, "--data"))
    if request.compute == "equal":
        own = resolve_recipe(request.scale, row.recipe, overrides)
        epochs = equal_epochs(own, budget_of(request.scale))
        overrides += epochs
        decided |= {override.key: EQUAL for override in epochs}
    _require_free(overrides, decided)
    return resolve_recipe(request.scale, row.recipe, overrides)


def _require_free(overrides: Sequence[Override], decided: Mapping[str, str]) -> None:
    """Refuse a `--set` that would be ignored."""
    for override in overrides:
        if override.origin == "--set" and override.key in decided:
            raise ConfigError(f"--set {override.key}: {decided[override.key]} decides it; leave it out")


def run_name(request: ReproductionRequest, row: Row, seed: int) -> str:
    """What a new run of a row is called: "tiny-claf-natural-seed0"."""
    changes = [str(value) for _, value in row.changes]
    space = [] if request.space == "pixel" else [request.space]
    compute = [] if request.compute == "own" else [request.compute]
    return "-".join([request.scale, row.recipe, *changes, *space, *compute, f"seed{seed}"])


MEASURED_ONLY = ("probe.", "checkpoint.")
"""Live edits that change nothing of what is trained."""


def was_edited(directory: Path) -> bool:
    """Whether a person changed while a run went on what it trains; its configuration does not tell."""
    try:
        return any(
            record.get("type") == "ValueEdited" and not str(record.get("name")).startswith(MEASURED_ONLY)
            for record in read_records(directory / EVENTS)
        )
    except ForeignFileError:
        return True  # nobody can tell


def _trains_the_same(directory: Path, config: RunConfig) -> bool:
    try:
        other = read_config(directory)
    except RunError:
        return False
    wanted = trained_part(_with_measured(config, directory, other))
    return trained_part(other) == wanted and not was_edited(directory) and _is_as_told(directory, other)


def _with_measured(config: RunConfig, directory: Path, other: RunConfig) -> RunConfig:
    """The settings with the means and deviations that a run measured, where they leave these to the images as well."""
    if config.model.num_channels or MEASURED not in read_begun(directory):
        return config
    found = {"mean": other.model.mean, "std": other.model.std}
    return config.model_copy(update={"model": config.model.model_copy(update=found)})


def _is_as_told(directory: Path, config: RunConfig) -> bool:
    """Whether the newest checkpoint of a run was trained with what the run's config.toml says now."""
    newest = next((entry.info for entry in list_checkpoints(directory) if entry.info is not None), None)
    try:
        return newest is None or trained_part(settings_of(newest)) == trained_part(config)
    except CheckpointError:
        return False


def _digest(settings: Sequence[str]) -> str:
    """A few characters that other settings do not have."""
    return hashlib.sha256("\0".join(sorted(settings)).encode()).hexdigest()[:8]


def _slug(source: str) -> str:
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in source)
    return kept.strip("-")[-40:].strip("-") or "data"
