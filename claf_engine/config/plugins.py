"""Loading plugins: Python files of a user that register methods, models, data and attacks. No torch of its own.

A plugin is run only because a person names its file. What a run's folder says of plugins is read, and never loaded.
"""

import hashlib
import sys
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from claf_engine.config.registry import DATA, Plugin, registered_by, registering
from claf_engine.terms.errors import ConfigError


@dataclass(frozen=True)
class Loaded:
    """A plugin that was loaded, and what it registered: "method mine", "attack mine"; empty for nothing."""

    plugin: Plugin
    registered: tuple[str, ...]


def load_plugin(path: Path, *, as_data: bool = False) -> Loaded:
    """Run a plugin's file, which registers what it adds; loaded again, it replaces what it registered before.

    Args:
        path: the file.
        as_data: its functions may be named as data sources, "FILE.py:NAME", which they also may where it registers
            nothing.

    Raises:
        ConfigError: the file is missing, no Python file, or raises; with its line.
    """
    path = path.expanduser()
    if path.suffix != ".py":
        raise ConfigError(f"{path} is no plugin: a plugin is a Python file, whose name ends in .py")
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the plugin {path}: {error.strerror}") from error
    plugin = Plugin(path.resolve(), hashlib.sha256(text).hexdigest())
    with registering(plugin):
        module = _execute(text, plugin)
        registered = registered_by(plugin)
        if as_data or not registered:
            for known_as in {str(path.absolute()), str(plugin.path)}:
                DATA.add_file(known_as, plugin, partial(getattr, module))
    return Loaded(plugin, registered)


def raised_in(error: BaseException, plugin: Plugin) -> str:
    """Say what a plugin raised, and in which of its lines: "KeyError in line 7: 'a'"."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(plugin.path)]
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(plugin.path) else None
    line = line or (lines[-1] if lines else None)
    where = "" if line is None else f" in line {line}"
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}{where}: {reason}"


def _execute(text: bytes, plugin: Plugin) -> ModuleType:
    """Run the text as a module that functions and classes of it can name as theirs.

    Raises:
        ConfigError: it raises.
    """
    module = ModuleType(f"claf_plugin_{plugin.path.stem}_{plugin.sha256[:12]}")
    module.__file__ = str(plugin.path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, str(plugin.path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise ConfigError(f"the plugin {plugin.path} cannot be loaded: {raised_in(error, plugin)}") from error
    return module
