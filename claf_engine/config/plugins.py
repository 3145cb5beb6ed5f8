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

from claf_engine.config.registry import (
    ARGUMENT_MARK,
    DATA,
    MODELS,
    OWN_ARCHITECTURES,
    Entry,
    Plugin,
    library_of,
    registered_by,
    registered_plugins,
    registering,
)
from claf_engine.config.sources import file_of
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
    plugin, module = _run(path)
    registered = registered_by(plugin)
    if as_data or not registered:
        for known_as in {str(path.expanduser().absolute()), str(plugin.path)}:
            DATA.add_file(known_as, plugin, partial(getattr, module))
    return Loaded(plugin, registered)


def load_model(text: str) -> str:
    """Make what `--model` names an architecture; the function of a file is not called yet.

    Args:
        text: FILE.py:FUNCTION, whose file is run as a plugin's is; or torchvision:NAME or timm:NAME.

    Returns:
        The name of the architecture: that of the file without its folder, and the function.

    Raises:
        ConfigError: it has no such form, the file cannot be loaded, or has no such function.
    """
    if library_of(text):
        return text
    file, _, function = text.rpartition(ARGUMENT_MARK)
    if not file_of(text):
        ours = f"; {text} is one of our own: --set model.architecture={text}" if text in OWN_ARCHITECTURES else ""
        raise ConfigError(f"--model {text} names no model; give FILE.py:FUNCTION, torchvision:NAME or timm:NAME{ours}")
    plugin, module = _run(Path(file))
    name = f"{plugin.file}{ARGUMENT_MARK}{function}"
    build = getattr(module, function, None)
    if not callable(build):
        raise ConfigError(f"{file} has no function {function!r}; name the one that builds the model")
    MODELS.entries[name] = Entry(build, plugin)
    return name


def _run(path: Path) -> tuple[Plugin, ModuleType]:
    """A plugin's file and its module; one that has registered something with the same text is not run again.

    So a file may give a model, data and a method at once, each named by an option of its own.

    Raises:
        ConfigError: see `load_plugin`.
    """
    plugin, text = _read(path)
    module = sys.modules.get(_module_name(plugin))
    is_same = module is not None and module.__file__ == str(plugin.path) and plugin in registered_plugins()
    if module is None or not is_same:
        with registering(plugin):
            module = _execute(text, plugin)
    return plugin, module


def _read(path: Path) -> tuple[Plugin, bytes]:
    """A plugin's file, and its text.

    Raises:
        ConfigError: it is missing or no Python file.
    """
    path = path.expanduser()
    if path.suffix != ".py":
        raise ConfigError(f"{path} is no plugin: a plugin is a Python file, whose name ends in .py")
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the plugin {path}: {error.strerror}") from error
    return Plugin(path.resolve(), hashlib.sha256(text).hexdigest()), text


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
    module = ModuleType(_module_name(plugin))
    module.__file__ = str(plugin.path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, str(plugin.path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise ConfigError(f"the plugin {plugin.path} cannot be loaded: {raised_in(error, plugin)}") from error
    return module


def _module_name(plugin: Plugin) -> str:
    return f"claf_plugin_{plugin.path.stem}_{plugin.sha256[:12]}"
