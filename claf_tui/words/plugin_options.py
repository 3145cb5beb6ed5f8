"""The plugins of this process as options of the next command, which would not know them otherwise."""

from pathlib import Path

from claf_engine.config.registry import ARGUMENT_MARK, DATA, MODELS, Plugin, registered_plugins
from claf_engine.config.sources import file_of


def plugin_options() -> list[str]:
    """`--plugin FILE`, `--model FILE:FUNCTION`, or both, for each; a file below the working directory by its way there.

    Both, where a file gives the model and the images: `--model` alone does not let its functions be data.
    """
    return [word for plugin in registered_plugins() for word in _options_of(plugin)]


def _options_of(plugin: Plugin) -> list[str]:
    near = _near(plugin.path)
    built = [name for name, entry in MODELS.entries.items() if entry.plugin == plugin and file_of(name)]
    gives_data = str(plugin.path) in DATA.entries
    words = ["--plugin", near] if gives_data or not built else []
    return words + (["--model", ARGUMENT_MARK.join((near, built[0].rpartition(ARGUMENT_MARK)[2]))] if built else [])


def _near(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
