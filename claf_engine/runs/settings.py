"""In which settings a run differs from the preset that it began with. No torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from claf_engine.config.fields import group_of, idle_groups
from claf_engine.config.presets import DEFAULT_PRESET, preset_names, resolve_config
from claf_engine.runs.folder import flat_settings, to_plain
from claf_engine.runs.foreign import STATUS_CAP, read_object
from claf_engine.terms.errors import ForeignFileError

OTHER_ORIGINS = ("--config", "--resume")
"""Options with which a run begins with other settings than those of the default preset."""


class Setting(NamedTuple):
    """One setting by its whole name, such as "attack.steps"; None is a value that is not set.

    `is_idle` is one that the run's method does not read.
    """

    name: str
    value: Any
    preset_value: Any
    is_idle: bool = False

    @property
    def group(self) -> str:
        """See `group_of`."""
        return group_of(self.name)

    @property
    def differs(self) -> bool:
        """Whether the run has another value than the preset."""
        return bool(self.value != self.preset_value)


@dataclass(frozen=True)
class Settings:
    """All settings of a run beside those of a preset, in the order of the configuration.

    Attributes:
        preset: its name.
        is_named: whether the command that began the run names the preset; otherwise it is the nearest one.
    """

    preset: str
    is_named: bool
    all: tuple[Setting, ...]

    @property
    def different(self) -> tuple[Setting, ...]:
        """Those in which the run differs from the preset."""
        return tuple(setting for setting in self.all if setting.differs)


def settings_of(config: Mapping[str, Any], directory: Path) -> Settings:
    """Compare the settings of a run with the preset that its command named, or else with the nearest one.

    Args:
        config: as the run tells it: plain values, unset ones left out.
        directory: of the run; where its run.json cannot be read, no command is known.
    """
    named = _named_preset(directory)
    compared = [compare(config, preset) for preset in ([named] if named else preset_names())]
    nearest = min(compared, key=lambda each: len(each.different))
    return Settings(nearest.preset, named is not None, nearest.all)


def compare(config: Mapping[str, Any], preset: str) -> Settings:
    """Put the settings of a run beside those of a preset.

    Raises:
        ConfigError: there is no such preset.
    """
    own, packaged = dict(flat_settings(config)), _preset_settings(preset)
    names = dict.fromkeys([*packaged, *own])
    settings = [Setting(name, own.get(name), packaged.get(name)) for name in names]
    idle = set(idle_groups(str(config.get("method"))))
    return Settings(preset, False, tuple(each._replace(is_idle=each.group in idle) for each in settings))


@lru_cache(maxsize=64)
def _preset_settings(preset: str) -> Mapping[str, Any]:
    return dict(flat_settings(to_plain(resolve_config(preset))))


def _named_preset(directory: Path) -> str | None:
    try:
        command = read_object(directory / "run.json", STATUS_CAP).get("command")
    except ForeignFileError:
        return None
    return preset_in(command) if isinstance(command, list) else None


def preset_in(command: Iterable[Any]) -> str | None:
    """The preset that a command line begins with; None where it does not tell, or begins with something else."""
    words = [str(word) for word in command]
    pairs = [word.partition("=")[::2] if "=" in word else (word, after) for word, after in pairwise([*words, ""])]
    named = [value for option, value in pairs if option == "--preset"]
    if named:
        return named[-1] if named[-1] in preset_names() else None
    begins_otherwise = any(option in OTHER_ORIGINS for option, _ in pairs)
    return DEFAULT_PRESET if "train" in words and not begins_otherwise else None
