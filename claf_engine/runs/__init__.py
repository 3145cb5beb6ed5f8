"""Run directories: layout, lock and status (`folder`), finding runs and checkpoints (`listing`, `choosing`). No torch.

runs/20261124-150400-demo/
config.toml       the resolved configuration
run.json          command line and versions that began the run
metrics.jsonl     what is plotted            (see `journal`)
events.jsonl      everything else that happened
*.before-restart-1.jsonl  the same of before the run was begun anew
status.json       where the run is now, with a heartbeat
labels.json       what a person wrote about it: note, tags, whether it is put away (see `labels`)
console.log       what libraries printed while the console was up
run.lock          held by the process that trains
holder.json       which process that is
control/          what other processes ask of it, until it has taken that (see `requests`)
checkpoints/step-000000123.safetensors
examples/step-000000123.safetensors  what the attack of a probe made of a few images (see `examples`)
audit/            robustness cards of its checkpoints (see `evaluation.cards`)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from claf_engine.runs.listing import (
    LATEST,
    CheckpointEntry,
    Holder,
    RunSummary,
    Which,
    find_checkpoint,
    find_run,
    holder,
    is_live,
    list_checkpoints,
    list_runs,
    run_names,
    runs_root,
    summarise,
)

if TYPE_CHECKING:
    from claf_engine.runs.folder import IMPORTED, RunDirectory, create_run, open_run, read_config, to_plain, versions

_OF_FOLDERS = ("IMPORTED", "RunDirectory", "create_run", "open_run", "read_config", "to_plain", "versions")
"""Loaded when they are first used: they check settings, and whoever lists runs does not."""

__all__ = [
    "IMPORTED",
    "LATEST",
    "CheckpointEntry",
    "Holder",
    "RunDirectory",
    "RunSummary",
    "Which",
    "create_run",
    "find_checkpoint",
    "find_run",
    "holder",
    "is_live",
    "list_checkpoints",
    "list_runs",
    "run_names",
    "open_run",
    "read_config",
    "runs_root",
    "summarise",
    "to_plain",
    "versions",
]


def __getattr__(name: str) -> Any:
    """Load what reads and writes folders on first use."""
    if name not in _OF_FOLDERS:
        raise AttributeError(f"module 'claf_engine.runs' has no attribute {name!r}")
    value = getattr(import_module("claf_engine.runs.folder"), name)
    globals()[name] = value
    return value
