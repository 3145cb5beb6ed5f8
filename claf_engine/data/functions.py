"""Data sets that a function of a user's file gives: "FILE.py:build"."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claf_engine.config import DataConfig
from claf_engine.config.plugins import load_plugin, raised_in
from claf_engine.config.registry import ARGUMENT_MARK, DATA, Plugin
from claf_engine.data.decoding import Raw
from claf_engine.data.items import Catalogue
from claf_engine.data.listing import UNDIVIDED, images_of
from claf_engine.data.map_style import MapStyle, catalogue_of, labels_steps, names_of
from claf_engine.data.splitting import split_named
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import ClafError, DataError

NAMES = ("class_names", "classes")
"""Keys of a dictionary of data sets that hold the names of the classes."""


@dataclass(frozen=True)
class Origin:
    """Which function of which file gave a data set, and which part of what it gave."""

    file: str
    sha256: str
    function: str
    part: str


class Built:
    """A data set that a function gave; another process runs the file again instead of being sent the data set."""

    def __init__(self, dataset: Any, origin: Origin) -> None:
        self._dataset, self._origin = dataset, origin

    def __getstate__(self) -> Origin:
        return self._origin

    def __setstate__(self, origin: Origin) -> None:
        self._dataset, self._origin = None, origin

    def __len__(self) -> int:
        return len(self._opened())

    def raw(self, index: int) -> Raw:
        """The image of an item.

        Raises:
            DataError: the data set raises, or the item has no image.
        """
        return MapStyle(self._opened(), self.what).raw(index)

    def name(self, index: int) -> str:
        """Its place in the data set."""
        return f"{index} of {self.what}"

    @property
    def what(self) -> str:
        """What sentences call the data set."""
        return f"the {images_of(self._origin.part)} of {Path(self._origin.file).name}:{self._origin.function}"

    def _opened(self) -> Any:
        if self._dataset is None:
            origin = self._origin
            loaded = load_plugin(Path(origin.file), as_data=True)
            if loaded.plugin.sha256 != origin.sha256:
                raise DataError(f"{origin.file} was changed while its images were read; leave it alone until they are")
            given = _call(DATA.entries[str(loaded.plugin.path)].value, loaded.plugin, origin.function)
            self._dataset = _parts(given, origin.function)[origin.part]
        return self._dataset


def function_steps(config: DataConfig) -> Generator[Pulse, None, Catalogue]:
    """Call the function of a file and list what it gives.

    It is called without arguments and gives a data set with `len` and places, of pairs (image, label); or a tuple of
    two, to train and to test on; or a dictionary of them by "train", "test", "validation", which may have "class_names"
    too.

    Raises:
        DataError: there is no such function, it raises, or gives something else.
    """
    path, _, name = config.source.rpartition(ARGUMENT_MARK)
    entry = DATA.entries[path]
    assert entry.plugin is not None, "a file is registered with its text"
    yield Pulse(f"calling {name} of {entry.plugin.file}")
    given = _call(entry.value, entry.plugin, name)
    parts, names = {}, None
    for part, dataset in _parts(given, name).items():
        built = Built(dataset, Origin(str(entry.plugin.path), entry.plugin.sha256, name, part))
        parts[part] = (built, (yield from labels_steps(dataset, built.what)))
        names = names_of(dataset) if names is None else names
    if isinstance(given, Mapping):
        names = next((tuple(given[key]) for key in NAMES if key in given), names)
    return catalogue_of(config, parts, names)


def _call(defined: Callable[..., Any], plugin: Plugin, name: str) -> Any:
    function = defined(name, None)
    if not callable(function):
        raise DataError(f"{plugin.file} has no function {name}; name one that gives a data set")
    try:
        return function()
    except ClafError:
        raise
    except Exception as error:
        raise DataError(f"{name} of {plugin.file} gives no data set: {raised_in(error, plugin)}") from error


def _parts(given: Any, name: str) -> dict[str, Any]:
    """The data sets, by the part that they are."""
    if isinstance(given, tuple) and len(given) == 2:
        found = {"train": given[0], "test": given[1]}
    elif isinstance(given, Mapping):
        told = {key: split_named(str(key)) for key in given if key not in NAMES}
        if unknown := [key for key, part in told.items() if part is None]:
            raise DataError(f"{name} gives {unknown[0]!r}; use the keys train, test, validation and class_names")
        found = {str(part): given[key] for key, part in told.items()}
    else:
        found = {UNDIVIDED: given}
    for part, dataset in found.items():
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__") or isinstance(dataset, str):
            raise DataError(
                f"{name} gives a {type(dataset).__name__}; give a data set with len() and places, a tuple "
                "of two to train and to test on, or a dictionary of them"
            )
        if not len(dataset):
            raise DataError(f"{name} gives no images for {part}; give at least one")
    if "train" not in found and UNDIVIDED not in found and len(found) < 2:
        raise DataError(f"{name} gives no images to train on; add some under the key train")
    return found
