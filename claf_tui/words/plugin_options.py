"""The plugins of this process as options of the next command, which would not know them otherwise."""

from pathlib import Path

from claf_engine.config.registry import registered_plugins


def plugin_options() -> list[str]:
    """`--plugin FILE` for each; a file below the working directory without the way to it."""
    return [word for plugin in registered_plugins() for word in ("--plugin", _near(plugin.path))]


def _near(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
