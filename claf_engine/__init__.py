"""Adversarially robust image classifiers: train with CLAF, attack, measure and audit, as a library.

Every name below is loaded when it is first used, so that importing the package costs next to nothing. What is not
listed here may change between versions. `docs/library.md` shows each in a few lines.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claf_engine import events
    from claf_engine.accuracy.any_model import attack, measure
    from claf_engine.accuracy.measure import Accuracy
    from claf_engine.attacks.registered import register_attack
    from claf_engine.audits.any_model import ModelAudit, audit
    from claf_engine.audits.audit import audit_checkpoint
    from claf_engine.audits.request import AuditRequest
    from claf_engine.config import RunConfig
    from claf_engine.config.plugins import load_model, load_plugin
    from claf_engine.config.presets import Override, parse_override, resolve_config
    from claf_engine.data.registered import Images, register_data
    from claf_engine.evaluation.evaluate import evaluate
    from claf_engine.evaluation.model_source import ModelSource
    from claf_engine.evaluation.request import EvaluationRequest
    from claf_engine.evaluation.subject import load_network
    from claf_engine.events.control import Control
    from claf_engine.models.registered import register_model
    from claf_engine.runs import create_run, find_checkpoint, find_run, open_run
    from claf_engine.runs.header import read_info
    from claf_engine.terms.errors import (
        CheckpointError,
        ClafError,
        ConfigError,
        DataError,
        DeviceError,
        NonFiniteLoss,
        RunError,
        RunLocked,
    )
    from claf_engine.training.losses import nt_xent_loss, supcon_loss
    from claf_engine.training.methods import METHODS
    from claf_engine.training.registered import register_loss, register_method
    from claf_engine.training.run import run, train

_HOMES = {
    "accuracy.any_model": ("attack", "measure"),
    "accuracy.measure": ("Accuracy",),
    "audits.any_model": ("ModelAudit", "audit"),
    "audits.audit": ("audit_checkpoint",),
    "audits.request": ("AuditRequest",),
    "config": ("RunConfig",),
    "config.presets": ("Override", "parse_override", "resolve_config"),
    "evaluation.evaluate": ("evaluate",),
    "evaluation.request": ("EvaluationRequest",),
    "evaluation.model_source": ("ModelSource",),
    "evaluation.subject": ("load_network",),
    "events.control": ("Control",),
    "runs": ("create_run", "find_checkpoint", "find_run", "open_run"),
    "runs.header": ("read_info",),
    "attacks.registered": ("register_attack",),
    "config.plugins": ("load_model", "load_plugin"),
    "data.registered": ("Images", "register_data"),
    "models.registered": ("register_model",),
    "training.registered": ("register_loss", "register_method"),
    "terms.errors": (
        "CheckpointError",
        "ClafError",
        "ConfigError",
        "DataError",
        "DeviceError",
        "NonFiniteLoss",
        "RunError",
        "RunLocked",
    ),
    "training.losses": ("nt_xent_loss", "supcon_loss"),
    "training.methods": ("METHODS",),
    "training.run": ("run", "train"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "METHODS",
    "Accuracy",
    "AuditRequest",
    "CheckpointError",
    "ClafError",
    "ConfigError",
    "Control",
    "DataError",
    "DeviceError",
    "EvaluationRequest",
    "Images",
    "ModelAudit",
    "ModelSource",
    "NonFiniteLoss",
    "Override",
    "RunConfig",
    "RunError",
    "RunLocked",
    "attack",
    "audit",
    "audit_checkpoint",
    "create_run",
    "evaluate",
    "events",
    "find_checkpoint",
    "find_run",
    "load_model",
    "load_network",
    "load_plugin",
    "measure",
    "nt_xent_loss",
    "open_run",
    "parse_override",
    "read_info",
    "register_attack",
    "register_data",
    "register_loss",
    "register_method",
    "register_model",
    "resolve_config",
    "run",
    "supcon_loss",
    "train",
]


def __getattr__(name: str) -> Any:
    """Load a public name, or the version, on first use."""
    if name == "__version__":
        from importlib.metadata import version

        return version("claf-tui")
    if name == "events":
        return import_module("claf_engine.events")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'claf_engine' has no attribute {name!r}")
    value = getattr(import_module(f"claf_engine.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
