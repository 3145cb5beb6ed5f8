"""The plugins of this process as options of the next command, which would not know them otherwise."""

from pathlib import Path

from claf_engine.config.registry import ARGUMENT_MARK, MODELS, Plugin, registered_plugins
from claf_engine.config.sources import file_of


def plugin_options() -> list[str]:
    """`--plugin FILE` or `--model FILE:FUNCTION` for each; a file below the working directory without the way to it."""
    return [word for plugin in registered_plugins() for word in _options_of(plugin)]


def _options_of(plugin: Plugin) -> tuple[str, str]:
    of_file = [name for name, entry in MODELS.entries.items() if entry.plugin == plugin and file_of(name)]
    if not of_file:
        return "--plugin", _near(plugin.path)
    return "--model", ARGUMENT_MARK.join((_near(plugin.path), of_file[0].rpartition(ARGUMENT_MARK)[2]))


def _near(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
