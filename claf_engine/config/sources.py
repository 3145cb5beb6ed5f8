"""How the sources of images are written, and where those lie that are on disk, whatever folder one stands in."""

import os
import re
from pathlib import Path

FOLDER = "folder:"
TABLES = ("hf:", "parquet:")
SHARDS = "wds:"
ON_DISK = (FOLDER, *TABLES, SHARDS)
"""Beginnings of the sources that a path follows."""
TORCHVISION = "torchvision:"
FORMS = ("shapes", "cifar10", "folder:PATH", "torchvision:NAME", "hf:PATH", "parquet:PATH", "wds:PATH", "FILE.py:NAME")
"""All of our own, for a person."""
OWN = ("shapes", "cifar10", "folder", "torchvision", "hf", "parquet", "wds")
"""Their names without what they are given."""
TORCHVISION_NAMES = (
    *("CIFAR10", "CIFAR100", "CLEVRClassification", "Caltech101", "Caltech256", "Country211", "DTD", "EMNIST"),
    *("EuroSAT", "FER2013", "FGVCAircraft", "FashionMNIST", "Flowers102", "Food101", "GTSRB", "ImageNet"),
    *("Imagenette", "KMNIST", "MNIST", "OxfordIIITPet", "PCAM", "Places365", "QMNIST", "RenderedSST2", "SEMEION"),
    *("STL10", "SUN397", "SVHN", "StanfordCars", "USPS"),
)
"""Data sets that are read through torchvision."""

MIN_SIDE, MAX_SIDE = 8, 256
"""Sides of an image, in pixels, that sources take: smaller ones vanish in the network, larger ones fill memory."""

_OURS = re.compile(r"shapes|cifar10|(folder|hf|parquet|wds):.+", re.DOTALL)
_FUNCTION = re.compile(r"(?P<file>.+\.py):(?P<name>[A-Za-z_]\w*)", re.DOTALL)


def is_ours(source: str) -> bool:
    """Whether a source is of one of our own forms that need no file of a user's to be run."""
    if source.startswith(TORCHVISION):
        return source.removeprefix(TORCHVISION) in TORCHVISION_NAMES
    return _OURS.fullmatch(source) is not None


def file_of(source: str) -> str | None:
    """The Python file of "FILE.py:NAME", a source that a user's function gives; None for any other."""
    found = _FUNCTION.fullmatch(source)
    return None if found is None or source.startswith(ON_DISK) else found["file"]


def is_relative(source: str) -> bool:
    """Whether a data source names a path that depends on where one stands."""
    _, path = _divided(source)
    return path != "" and not os.path.isabs(os.path.expanduser(path))


def absolute_source(source: str, base: Path) -> str:
    """The same source with an absolute path; whatever is no relative path stays as it is, "~" too.

    Args:
        source: such as "folder:images".
        base: the folder that it is relative to.
    """
    if not is_relative(source):
        return source
    prefix, text = _divided(source)
    path = Path(text)
    placed = base.absolute() / path
    # What ".." means depends on links, so that it is followed and not cut out of the text.
    return prefix + str(placed.resolve() if ".." in path.parts else placed)


def path_of(source: str) -> Path:
    """The path of a source on disk, with "~" expanded; patterns of several files stay as they are written."""
    return Path(_divided(source)[1]).expanduser()


def is_on_disk(source: str) -> bool:
    """Whether a source is a path, so that it means nothing on another machine."""
    return _divided(source)[1] != ""


def published_source(source: str) -> str:
    """A data source as a file for others names it: the name of its folder or file without where that lies."""
    prefix, path = _divided(source)
    return prefix + Path(path).name if path else source


def _divided(source: str) -> tuple[str, str]:
    """What stands before the path, and the path, which is empty for a source that has none."""
    prefix = next((each for each in ON_DISK if source.startswith(each)), None)
    if prefix is not None:
        return prefix, source.removeprefix(prefix)
    return "", source if file_of(source) is not None else ""
