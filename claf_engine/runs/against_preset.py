"""What of a run's settings differs from the preset that it was started with. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from claf_engine.config.presets import DEFAULT_PRESET, preset_layers, preset_names, resolve_layers
from claf_engine.runs.folder import flat_settings, to_plain


@dataclass(frozen=True)
class Setting:
    """One setting of a run.

    Attributes:
        key: such as "attack.steps".
        value: None where it is not set.
        preset_value: what it would be in the preset.
    """

    key: str
    value: Any
    preset_value: Any

    @property
    def differs(self) -> bool:
        """Whether the run has another value than the preset."""
        return bool(self.value != self.preset_value)


@dataclass(frozen=True)
class AgainstPreset:
    """All settings of a run, beside those of a preset.

    Attributes:
        is_told: whether the run's command names the preset; else it is the one that differs in the fewest settings.
        settings: in the order of the run's sections.
    """

    preset: str
    is_told: bool
    settings: tuple[Setting, ...]

    @property
    def changes(self) -> tuple[Setting, ...]:
        """Those that differ."""
        return tuple(setting for setting in self.settings if setting.differs)


def against_preset(plain: Mapping[str, Any], command: Sequence[Any] = ()) -> AgainstPreset:
    """Compare settings with a preset.

    Args:
        plain: the settings as plain values in sections; another may have written them.
        command: the command line that began the run, as its run.json has it.
    """
    told = told_preset(command)
    if told is not None:
        return AgainstPreset(told, True, _settings(plain, told))
    compared = {name: _settings(plain, name) for name in preset_names()}
    nearest = min(compared, key=lambda name: sum(setting.differs for setting in compared[name]))
    return AgainstPreset(nearest, False, compared[nearest])


def told_preset(command: Sequence[Any]) -> str | None:
    """The preset that a command line names, or the default one where it names neither preset nor file; else None."""
    words = [str(word) for word in command]
    pairs = [word.partition("=")[::2] if "=" in word else (word, after) for word, after in pairwise([*words, ""])]
    named = [value for flag, value in pairs if flag == "--preset"]
    if named:
        return named[-1] if named[-1] in preset_names() else None
    begins_afresh = "train" in words and not {"--config", "--resume"} & {flag for flag, _ in pairs}
    return DEFAULT_PRESET if begins_afresh else None


@cache
def _preset_settings(name: str) -> dict[str, Any]:
    return dict(flat_settings(to_plain(resolve_layers(preset_layers(name)))))


def _settings(plain: Mapping[str, Any], name: str) -> tuple[Setting, ...]:
    ours, theirs = dict(flat_settings(plain)), _preset_settings(name)
    return tuple(Setting(key, ours.get(key), theirs.get(key)) for key in [*ours, *(theirs.keys() - ours.keys())])
