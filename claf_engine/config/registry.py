"""What plugins add to our own methods, models, data and attacks: names, and what stands behind them. No torch.

Settings are checked against the names here; the room that uses a kind says what its values are and registers them
(`training.registered`, `models.registered`, `data.registered`, `attacks.registered`).
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from claf_engine.config import sources
from claf_engine.config.suggestion import suggestion
from claf_engine.terms.errors import ClafError, ConfigError
from claf_engine.terms.names import EvaluationAttack, Method

Value = TypeVar("Value")

PLAIN_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
DEFAULT_ARCHITECTURE = "resnet"
OWN_ARCHITECTURES = (
    DEFAULT_ARCHITECTURE,
    "resnet18",
    "resnet34",
    "resnet50",
    "preact-resnet18",
    "wrn-28-10",
    "wrn-34-10",
)
LIBRARIES = ("torchvision", "timm")
"""Whose models are architectures too, as "torchvision:resnet50"."""
FILE_SUFFIX = ".py"
"""What the name of a file ends with whose functions give data: no name that a person writes."""
ARGUMENT_MARK = ":"
"""Between the name of a data source or a library and what it is given, such as a path."""


@dataclass(frozen=True)
class Plugin:
    """One Python file that registers what it adds.

    Attributes:
        path: absolute.
        sha256: of its text.
    """

    path: Path
    sha256: str

    @property
    def file(self) -> str:
        """Its name without the folder."""
        return self.path.name


@dataclass(frozen=True)
class Entry(Generic[Value]):
    """What is registered under a name; `plugin` is None where it was registered outside of a plugin's file."""

    value: Value
    plugin: Plugin | None

    @property
    def origin(self) -> str:
        """Where it is from, for a complaint: "plugin my.py", or the module that registered it."""
        module = getattr(self.value, "__module__", "this program")
        return f"plugin {self.plugin.file}" if self.plugin is not None else str(module)


@dataclass(frozen=True)
class Registry(Generic[Value]):
    """The names of one kind, our own and those that plugins add.

    Attributes:
        kind: what is named, for complaints: "method".
        own: our own names, which nobody else can take.
        forms: how our own are written, where a name alone is not all of it.
        entries: what plugins registered, by name.
    """

    kind: str
    own: tuple[str, ...]
    forms: tuple[str, ...] = ()
    entries: dict[str, Entry[Value]] = field(default_factory=dict)

    def add(self, name: str, value: Value) -> None:
        """Register a value; the same function of a script or a notebook cell that is run again replaces itself.

        Raises:
            ConfigError: the name is no plain word, or taken.
        """
        if not isinstance(name, str) or not PLAIN_NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} is no name for a {self.kind}; use up to 32 small letters, digits, dashes and underscores, "
                "a letter first"
            )
        if name in self.own:
            raise ConfigError(f"the {self.kind} {name!r} is one of our own; register yours under another name")
        entry = Entry(value, _LOADING.get())
        before = self.entries.get(name)
        if before is not None and not _is_again(before, entry):
            raise ConfigError(
                f"the {self.kind} {name!r} is registered already, by {before.origin}; register yours under another name"
            )
        self.entries[name] = entry

    def add_file(self, path: str, plugin: Plugin, defined: Value) -> None:
        """Register what gives the definitions of a whole file by their names, under its absolute path."""
        self.entries[path] = Entry(defined, plugin)

    def complaint(self, name: str) -> str:
        """What is wrong with a name that is neither ours nor registered, and what to use."""
        written = (*(self.forms or self.own), *(entry for entry in self.entries if not entry.endswith(FILE_SUFFIX)))
        known = " or ".join(filter(None, (", ".join(written[:-1]), written[-1])))
        near = suggestion(name, written)
        return f"unknown {self.kind} {name!r}; use {known}, or give a --plugin that registers it{near}"

    def require(self, name: str) -> str:
        """Give a name back, for a check of a setting.

        Raises:
            ValueError: it is neither ours nor registered; with the nearest that is.
        """
        if name not in self.own and name not in self.entries:
            raise ValueError(self.complaint(name))
        return name

    @contextmanager
    def calling(self, name: str) -> Iterator[None]:
        """What is raised meanwhile says whose it is, in a note, unless it is a sentence of its own."""
        try:
            yield
        except ClafError:
            raise
        except Exception as error:
            if (entry := self.entries.get(name)) is not None:
                error.add_note(f"raised in the {self.kind} {name!r} of {entry.origin}")
            raise


_LOADING: ContextVar[Plugin | None] = ContextVar("plugin that is being loaded", default=None)

METHODS: Registry[Callable[..., Any]] = Registry("method", get_args(Method))
"""Settings to phases, see `training.registered`; a loss is a method of one phase."""
MODELS: Registry[Callable[..., Any]] = Registry(
    "architecture", (*OWN_ARCHITECTURES, *LIBRARIES), (*OWN_ARCHITECTURES, *(f"{name}:NAME" for name in LIBRARIES))
)
"""Settings to an encoder, see `models.registered`."""
DATA: Registry[Callable[..., Any]] = Registry("data source", sources.OWN, sources.FORMS)
"""Settings to images, see `data.registered`."""
ATTACKS: Registry[Any] = Registry("attack", get_args(EvaluationAttack))
"""Attacks to measure with, see `attacks.registered`."""
REGISTRIES: tuple[Registry[Any], ...] = (METHODS, MODELS, DATA, ATTACKS)


def library_of(architecture: str) -> str:
    """The library that a model is of: "torchvision" of "torchvision:resnet50"; empty where it is of none."""
    library, mark, name = architecture.partition(ARGUMENT_MARK)
    return library if mark and name and library in LIBRARIES else ""


def data_name(source: str) -> str:
    """The name of a data source without what it is given: "folder" of "folder:PATH", "a/my.py" of "a/my.py:build"."""
    return sources.file_of(source) or source.partition(ARGUMENT_MARK)[0]


def registered_by(plugin: Plugin) -> tuple[str, ...]:
    """What a plugin registers: "method mine", "attack mine"."""
    return tuple(
        f"{registry.kind} {name}"
        for registry in REGISTRIES
        for name, entry in registry.entries.items()
        if entry.plugin == plugin
    )


def registered_plugins() -> tuple[Plugin, ...]:
    """The plugins that have registered something in this process, in that order."""
    found = (entry.plugin for registry in REGISTRIES for entry in registry.entries.values())
    return tuple(dict.fromkeys(plugin for plugin in found if plugin is not None))


@contextmanager
def registering(plugin: Plugin) -> Iterator[None]:
    """What is registered meanwhile is the plugin's, in place of what the same file registered before.

    Where that fails, everything is as it was.
    """
    before = [dict(registry.entries) for registry in REGISTRIES]
    for registry in REGISTRIES:
        earlier = [
            name for name, entry in registry.entries.items() if entry.plugin and entry.plugin.path == plugin.path
        ]
        for name in earlier:
            del registry.entries[name]
    token = _LOADING.set(plugin)
    try:
        yield
    except BaseException:
        for registry, entries in zip(REGISTRIES, before, strict=True):
            registry.entries.clear()
            registry.entries.update(entries)
        raise
    finally:
        _LOADING.reset(token)


def _is_again(before: Entry[Any], now: Entry[Any]) -> bool:
    """Whether two entries are one function of a script or notebook, run twice."""
    if before.plugin is not None or now.plugin is not None:
        return False
    first, second = (
        (getattr(entry.value, "__module__", None), getattr(entry.value, "__qualname__", None))
        for entry in (before, now)
    )
    return first == second and None not in first
