"""Values that a person changes while a run goes on: what they become of its settings, or why they may not.

An edit is a setting under another value, and is refused by the bounds and the words of that setting. The run's phase
begins again from where it stands, under the new settings, as it does after a resume: so a resumed run, whose checkpoint
keeps the edits, goes on to the same bits.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from claf_engine.config import RunConfig
from claf_engine.config.messages import Layer
from claf_engine.config.presets import UNSET, Override, parse_override, resolve_layers
from claf_engine.events.control import (
    EPOCHS_LEFT,
    LEARNING_RATE,
    LIVE_NAMES,
    PHASE_EPOCHS,
    PHASE_TEMPERATURES,
    TEMPERATURE,
    LiveEdit,
    Value,
)
from claf_engine.runs import to_plain
from claf_engine.terms.errors import CheckpointError, ConfigError
from claf_engine.terms.pixels import format_distance
from claf_engine.training.methods import phases_of
from claf_engine.training.phase import Phase
from claf_engine.training.state import Cursor

PLACE_OF_RATE = "features_optimizer.learning_rate"
"""A setting with the bounds of every learning rate."""
SETTINGS = {
    *(name for name in LIVE_NAMES if "." in name),
    *PHASE_EPOCHS.values(),
    *PHASE_TEMPERATURES.values(),
}
"""Settings that an edit may change, and no others in a checkpoint that somebody wrote."""
EPSILONS = "probe.epsilons"


@dataclass(frozen=True)
class Change:
    """What an edit comes to.

    Attributes:
        name: the setting that changes, or "learning_rate".
        plain: its new value, as settings are written down.
        old, new: as events tell them.
        config: the settings from then on; the same ones where the learning rate of the phase changes.
    """

    name: str
    plain: Any
    old: Value
    new: Value
    config: RunConfig


@dataclass(frozen=True)
class Trained:
    """How a run stands for an edit.

    Attributes:
        config: its settings, with all edits so far.
        phases: those of the same.
        rate: the learning rate of the last step of the phase; None where it has taken none.
    """

    config: RunConfig
    phases: Sequence[Phase]
    cursor: Cursor
    rate: float | None = None


def with_edits(config: RunConfig, edits: Mapping[str, Any]) -> RunConfig:
    """The settings of a run with those that were edited while it went on.

    Args:
        config: as its folder has them.
        edits: by setting, as the ledger of its state keeps them.

    Raises:
        CheckpointError: a setting is none that may be edited, or has a value that it may not have.
    """
    if not edits:
        return config
    if wrong := edits.keys() - SETTINGS:
        raise CheckpointError(f"the checkpoint's live edits name {', '.join(sorted(wrong))}, which cannot be edited")
    try:
        return _edited(config, edits)
    except ConfigError as error:
        raise CheckpointError(f"the checkpoint's live edits do not fit its settings: {error}") from error


def change_of(edit: LiveEdit, trained: Trained) -> Change:
    """What an edit comes to where the run stands now.

    Raises:
        ConfigError: it is refused; with the reason.
    """
    name, config = edit.name, trained.config
    if name not in LIVE_NAMES:
        choices = f"{', '.join(LIVE_NAMES[:-1])} and {LIVE_NAMES[-1]}"
        raise ConfigError(f"{name} cannot be set while the run goes on; {choices} can")
    if name == LEARNING_RATE:
        return _of_rate(edit, trained)
    if trained.cursor.phase >= len(trained.phases):
        raise ConfigError("training is over: there is nothing to edit any more")
    phase = trained.phases[trained.cursor.phase]
    if name == EPOCHS_LEFT:
        return _of_epochs(edit, phase, trained)
    key = _temperature_of(phase) if name == TEMPERATURE else name
    plain = _plain(key, edit.value)
    now = _edited(config, {key: plain})
    if key == EPSILONS:
        _require_same_first(config, now)
    return Change(key, _plain_of(now, key), _told(config, key), _told(now, key), now)


def _of_rate(edit: LiveEdit, trained: Trained) -> Change:
    """The learning rate of the phase, which is edited as a factor on its schedule."""
    config, plain = trained.config, _plain(LEARNING_RATE, edit.value)
    try:
        rate = _edited(config, {PLACE_OF_RATE: plain}).features_optimizer.learning_rate
    except ConfigError as error:
        raise ConfigError(str(error).replace(PLACE_OF_RATE, LEARNING_RATE)) from error
    if trained.rate is None:
        raise ConfigError("the learning rate can be edited once the phase has taken a step")
    return Change(LEARNING_RATE, rate, trained.rate, rate, config)


def _of_epochs(edit: LiveEdit, phase: Phase, trained: Trained) -> Change:
    """How many epochs of the phase are left, the one that goes on included, as how many it has in all."""
    cursor, left = trained.cursor, _plain(EPOCHS_LEFT, edit.value)
    if isinstance(left, float) and left.is_integer():
        left = int(left)
    if isinstance(left, bool) or not isinstance(left, int) or not 1 <= left < 10**6:
        raise ConfigError(
            f"{EPOCHS_LEFT} must be a whole number of at least 1, the epoch that goes on, and not {edit.value}"
        )
    key = PHASE_EPOCHS.get(phase.name)
    planned = None if key is None else _edited(trained.config, {key: cursor.epoch + left})
    phases = () if planned is None else phases_of(planned)
    if (
        key is None
        or planned is None
        or not _is_longer_alone(trained.phases, phases, cursor.phase, cursor.epoch + left)
    ):
        raise ConfigError(f"how long {phase.title} lasts is not for a setting to say, and cannot be edited")
    return Change(key, cursor.epoch + left, phase.epochs, cursor.epoch + left, planned)


def _is_longer_alone(before: Sequence[Phase], now: Sequence[Phase], index: int, epochs: int) -> bool:
    """Whether one phase has so many epochs now, and all else is as it was."""
    lengths = [(phase.name, phase.epochs) for phase in before]
    lengths[index] = before[index].name, epochs
    return lengths == [(phase.name, phase.epochs) for phase in now]


def _temperature_of(phase: Phase) -> str:
    key = PHASE_TEMPERATURES.get(phase.name)
    if key is None or (phase.name == "supervised" and not phase.contrasts):
        raise ConfigError(f"{phase.title} has no temperature: its loss contrasts nothing")
    return key


def _require_same_first(before: RunConfig, now: RunConfig) -> None:
    """Refuse other first radii up to the first that is attacked: by it checkpoints are compared, and falls told."""
    then = before.probe.epsilons
    num_first = next((number for number, epsilon in enumerate(then, 1) if epsilon), len(then))
    if now.probe.epsilons[:num_first] != then[:num_first]:
        first = ", ".join(map(format_distance, then[:num_first]))
        raise ConfigError(
            f"{EPSILONS} must begin with {first}, which the best checkpoint is chosen by; the radii after it may change"
        )


def _edited(config: RunConfig, edits: Mapping[str, Any]) -> RunConfig:
    """The settings with some of them changed.

    Raises:
        ConfigError: a value is wrong, in the words of its setting.
    """
    origin = "edit"
    changes = [Override(key, value, origin) for key, value in edits.items()]
    try:
        return resolve_layers([Layer("the run", to_plain(config))], changes)
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix(f"{origin}: ")) from error


def _plain(key: str, value: Value) -> Any:
    """What a person wrote, as a setting takes it; radii may stand side by side without brackets."""
    if not isinstance(value, str):
        return value
    if key == EPSILONS:
        return [part for part in re.split(r"[\s,]+", value.strip("[] ")) if part] if value.strip("[] ") else []
    return parse_override(f"{key}={value}").value


def _plain_of(config: RunConfig, key: str) -> Any:
    value: Any = to_plain(config)
    for part in key.split("."):
        value = value.get(part)
    return value


def _told(config: RunConfig, key: str) -> Value:
    """The value of a setting as an event tells it."""
    value = attrgetter(key)(config)
    if value is None:
        return UNSET
    if isinstance(value, tuple):
        return ", ".join(map(format_distance, value)) or UNSET
    told: float = value
    return told
