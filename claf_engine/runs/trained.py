"""Which settings decide what is trained. No torch."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from claf_engine.config import RunConfig
from claf_engine.runs.folder import flat_settings, to_plain
from claf_engine.runs.header import CheckpointInfo
from claf_engine.terms.errors import CheckpointError

FREE = ("runtime", "probe.every_epochs")
"""Settings that a run may go on under with other values: where and how it computes (precision, layout and threads are
the checkpoint's own, and other arithmetic is told), and how often it is probed, which a person may edit live too."""

HOW_READ = ("download", "resident", "workers")
"""Settings of the images that do not change which ones they are."""


def trained_part(config: RunConfig) -> dict[str, Any]:
    """The settings that decide what is trained, as plain values.

    What is measured at a run's end, how often it is saved and on how many threads it runs do not.
    """
    plain = to_plain(config)
    for section in ("evaluation", "checkpoint"):
        del plain[section]
    for key in HOW_READ:
        plain["data"].pop(key, None)
    plain["runtime"] = {"precision": config.runtime.precision}
    return plain


def settings_of(info: CheckpointInfo) -> RunConfig:
    """The settings that a checkpoint was trained with.

    Raises:
        CheckpointError: it does not say, or this version does not know them.
    """
    try:
        return RunConfig.model_validate(info.metadata["claf.config"])
    except (KeyError, ValidationError) as error:
        raise CheckpointError(f"{info.path} holds no configuration that this version knows") from error


def setting_changes(before: RunConfig, now: RunConfig) -> dict[str, str]:
    """What differs between the settings of a run that was left and those it would go on with: key to words.

    Only settings that decide what is trained, or which checkpoint is chosen, and that are not in `FREE`.
    """
    changes = differences(trained_part(before), trained_part(now))
    return {key: words for key, words in changes.items() if not key.startswith(FREE)}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """What differs between settings, given as plain values in sections: key to words."""
    then, today = dict(flat_settings(before)), dict(flat_settings(now))
    return {
        key: f"{key} was {then.get(key)!r}, is {today.get(key)!r}"
        for key in sorted(then.keys() | today.keys())
        if then.get(key) != today.get(key)
    }
