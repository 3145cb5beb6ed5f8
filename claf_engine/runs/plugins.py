"""What a run's folder says of the plugins that it was begun with. It is compared and told; nothing of it is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claf_engine.config.registry import (
    DATA,
    METHODS,
    MODELS,
    REGISTRIES,
    data_name,
    library_of,
    registered_by,
    registered_plugins,
)
from claf_engine.config.sources import file_of
from claf_engine.runs.foreign import STATUS_CAP, read_object
from claf_engine.terms.errors import ForeignFileError

PLUGINS = "plugins"
"""Key of run.json."""


@dataclass(frozen=True)
class RecordedPlugin:
    """A plugin as a run's folder names it.

    Attributes:
        file: its name without the folder.
        sha256: of its text.
        registers: what it registered: "method mine", "architecture mine".
    """

    file: str
    sha256: str
    registers: tuple[str, ...]


def plugin_records() -> list[dict[str, Any]]:
    """The plugins of this process, as run.json keeps them."""
    return [
        {"file": plugin.file, "sha256": plugin.sha256, "registers": list(registered_by(plugin))}
        for plugin in registered_plugins()
    ]


def recorded_plugins(run: Path) -> tuple[RecordedPlugin, ...]:
    """The plugins that a run was begun with; none where its folder does not say, or not so that it can be read."""
    try:
        found = read_object(run / "run.json", STATUS_CAP)[PLUGINS]
        return tuple(
            RecordedPlugin(str(item["file"]), str(item["sha256"]), tuple(map(str, item["registers"]))) for item in found
        )
    except (ForeignFileError, KeyError, TypeError):
        return ()


def missing_plugin(settings: Mapping[str, Any], run: Path) -> str:
    """Say which plugin a run's settings need and which file it was of; empty where all names are known.

    Args:
        settings: plain values, as config.toml or a checkpoint holds them.
        run: its folder.
    """
    recorded = recorded_plugins(run)
    for kind, name in _unknown(settings):
        file = next((plugin.file for plugin in recorded if f"{kind} {name}" in plugin.registers), None)
        if file_of(name):
            return f"it was trained with {kind} {name!r}; give --model {name} with the way to that file"
        if file is None:
            return f"it was trained with {kind} {name!r}, which is none of ours; give the --plugin that registers it"
        return f"it was trained with {kind} {name!r} of plugin {file}; give --plugin {file}"
    return ""


def plugin_changes(run: Path) -> tuple[str, ...]:
    """A sentence for each plugin of this process whose text is not the one that the run was begun with."""
    now = {
        f"{registry.kind} {name}": entry.plugin
        for registry in REGISTRIES
        for name, entry in registry.entries.items()
        if entry.plugin is not None
    }
    changes = [
        f"plugin {now[word].file} is not {plugin.file} as the run was begun with it (SHA-256 {now[word].sha256[:12]}, "
        f"then {plugin.sha256[:12]}): it may not go on as it would have"
        for plugin in recorded_plugins(run)
        for word in plugin.registers
        if word in now and now[word].sha256 != plugin.sha256
    ]
    return tuple(dict.fromkeys(changes))


def _unknown(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Kind and name of everything in the settings that is neither ours nor registered."""
    model, data = settings.get("model"), settings.get("data")
    asked = [
        (METHODS, settings.get("method")),
        (MODELS, model.get("architecture") if isinstance(model, Mapping) else None),
        (DATA, data.get("source") if isinstance(data, Mapping) else None),
    ]
    named = [
        (registry, data_name(name) if registry is DATA else name)
        for registry, name in asked
        if isinstance(name, str) and not library_of(name)
    ]
    return [
        (registry.kind, name) for registry, name in named if name not in registry.own and name not in registry.entries
    ]
