"""What a person wants of every console: a theme and keys of their own. A file that is damaged costs itself only."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from claf_engine.runs.durable import write_atomically
from claf_engine.runs.foreign import STATUS_CAP, read_object, read_toml
from claf_engine.terms.errors import ConfigError, ForeignFileError, MissingFile
from claf_engine.terms.places import config_dir
from claf_tui.words.safe_text import safe

THEME_VARIABLE = "CLAF_THEME"
KNOWN = {"theme", "keys"}
"""What the file may hold."""


@dataclass(frozen=True)
class Preferences:
    """How a console is to look and which keys it takes.

    Attributes:
        theme: its name, or None for the default.
        named_by: the variable or file that names it at every start; empty where the palette chose it.
        keys: new keys by the id of what they do, such as {"dashboard.probe": "P"}; not checked yet.
        notices: sentences about what could not be read.
    """

    theme: str | None = None
    named_by: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def preferences_file() -> Path:
    """The file that a person writes: console.toml in the user's configuration folder."""
    return config_dir() / "console.toml"


def look_file() -> Path:
    """The file in which the console keeps the theme that was chosen in it: look.json in the user's state folder."""
    return Path(platformdirs.user_state_dir("claf-tui")) / "look.json"


def read_preferences() -> Preferences:
    """Read what a person wants; what names a theme wins in the order variable, file, palette."""
    written, notices = _written()
    kept, more = _kept()
    theme, keys = written.get("theme"), written.get("keys", {})
    notices += more
    file = preferences_file()
    if theme is not None and not isinstance(theme, str):
        notices.append(f'{file}: theme must be a name in quotes, such as theme = "claf-light"')
        theme = None
    if not isinstance(keys, Mapping):
        notices.append(f'{file}: keys must be a table, such as [keys] and "dashboard.probe" = "P" below it')
        keys = {}
    wrong = [name for name, value in keys.items() if not isinstance(value, str)]
    notices += [f'{file}: the key of {safe(name, 60)} must be text in quotes, such as "P"' for name in wrong]
    named = os.environ.get(THEME_VARIABLE) or None
    named_by = THEME_VARIABLE if named else str(file) if theme else ""
    texts = {name: value for name, value in keys.items() if name not in wrong}
    return Preferences(named or theme or kept, named_by, texts, tuple(notices))


def keep_theme(name: str) -> None:
    """Begin with this theme from now on.

    Raises:
        ConfigError: it cannot be written.
    """
    file = look_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps({"theme": name}).encode())
    except OSError as error:
        raise ConfigError(
            f"the theme cannot be kept in {file}: {error.strerror}; set {THEME_VARIABLE} instead"
        ) from error


def forget_look() -> None:
    """Begin with the default theme again, unless a variable or a file names one.

    Raises:
        ConfigError: the file cannot be removed.
    """
    file = look_file()
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot remove {file}: {error.strerror}; remove it by hand") from error


def _written() -> tuple[Mapping[str, object], list[str]]:
    file = preferences_file()
    try:
        values = read_toml(file)
    except MissingFile:
        return {}, []
    except ForeignFileError as error:
        return {}, [f"your keys and theme are not used: {error}"]
    unknown = [f"{file}: unknown key {safe(name, 60)}; it may hold theme and keys" for name in values.keys() - KNOWN]
    return values, unknown


def _kept() -> tuple[str | None, list[str]]:
    file = look_file()
    try:
        theme = read_object(file, STATUS_CAP).get("theme")
    except MissingFile:
        return None, []
    except ForeignFileError as error:
        return None, [f"the theme that was chosen last is not known: {error}; `claf-tui config theme --reset` mends it"]
    return (theme, []) if isinstance(theme, str) else (None, [])
