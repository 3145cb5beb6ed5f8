"""Classification data sets that torchvision reads: where each keeps its splits and labels."""

import inspect
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claf_engine.config import DataConfig
from claf_engine.config.sources import TORCHVISION
from claf_engine.data.items import Catalogue
from claf_engine.data.listing import images_of
from claf_engine.data.map_style import MapStyle, catalogue_of, labels_steps, names_of
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError
from claf_engine.terms.installation import install_line
from claf_engine.terms.places import data_dir


@dataclass(frozen=True)
class Recipe:
    """How torchvision is asked for a data set.

    Attributes:
        parts: arguments for each part: "train", "test", "validation"; or "all" for one without splits.
        labels: where it keeps the labels; None where they are read with the images.
    """

    parts: Mapping[str, Mapping[str, Any]]
    labels: str | None = None


def _splits(labels: str | None, **names: str) -> Recipe:
    """A data set that takes its split as a word."""
    return Recipe({part: {"split": name} for part, name in names.items()}, labels)


_FLAG = {"train": {"train": True}, "test": {"train": False}}
_EMNIST = {part: {**flag, "split": "balanced"} for part, flag in _FLAG.items()}
_PLACES = {"train": {"split": "train-standard", "small": True}, "test": {"split": "val", "small": True}}

RECIPES: Mapping[str, Recipe] = {
    "CIFAR10": Recipe(_FLAG, "targets"),
    "CIFAR100": Recipe(_FLAG, "targets"),
    "CLEVRClassification": _splits("_labels", train="train", test="val"),
    "Caltech101": Recipe({"all": {}}, "y"),
    "Caltech256": Recipe({"all": {}}, "y"),
    "Country211": _splits("targets", train="train", validation="valid", test="test"),
    "DTD": _splits("_labels", train="train", validation="val", test="test"),
    "EMNIST": Recipe(_EMNIST, "targets"),
    "EuroSAT": Recipe({"all": {}}, "targets"),
    "FER2013": _splits("_samples", train="train", test="test"),
    "FGVCAircraft": _splits("_labels", train="train", validation="val", test="test"),
    "FashionMNIST": Recipe(_FLAG, "targets"),
    "Flowers102": _splits("_labels", train="train", validation="val", test="test"),
    "Food101": _splits("_labels", train="train", test="test"),
    "GTSRB": _splits("_samples", train="train", test="test"),
    "ImageNet": _splits("targets", train="train", test="val"),
    "Imagenette": _splits("_samples", train="train", test="val"),
    "KMNIST": Recipe(_FLAG, "targets"),
    "MNIST": Recipe(_FLAG, "targets"),
    "OxfordIIITPet": _splits("_labels", train="trainval", test="test"),
    "PCAM": _splits(None, train="train", validation="val", test="test"),
    "Places365": Recipe(_PLACES, "targets"),
    "QMNIST": Recipe(_FLAG),
    "RenderedSST2": _splits("_samples", train="train", validation="val", test="test"),
    "SEMEION": Recipe({"all": {}}, "labels"),
    "STL10": _splits("labels", train="train", test="test"),
    "SUN397": Recipe({"all": {}}, "_labels"),
    "SVHN": _splits("labels", train="train", test="test"),
    "StanfordCars": _splits("_samples", train="train", test="test"),
    "USPS": Recipe(_FLAG, "targets"),
}


def torchvision_steps(config: DataConfig) -> Generator[Pulse, None, Catalogue]:
    """Read a data set through torchvision from the data folder, and download it where it is not there and may be.

    Raises:
        DataError: it is not there and cannot be downloaded, or is damaged.
    """
    name = config.source.removeprefix(TORCHVISION)
    recipe, root = RECIPES[name], data_dir() / name.lower()
    parts, names = {}, None
    for part, arguments in recipe.parts.items():
        yield Pulse(f"reading {name}, {part}")
        dataset = _opened(name, root, arguments, may_download=config.download)
        what = f"the {images_of(part)} of {config.source}"
        labels = yield from labels_steps(dataset, what, recipe.labels)
        parts[part] = (MapStyle(dataset, what), labels)
        names = names_of(dataset) if names is None else names
    return catalogue_of(config, parts, names)


def _opened(name: str, root: Path, arguments: Mapping[str, Any], *, may_download: bool) -> Any:
    """One part, from what is there or else from the network.

    Raises:
        DataError: see `torchvision_steps`.
    """
    # Imported here, because torchvision takes a second to import and most sources need none of it.
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError) as error:  # RuntimeError: it was built for another torch
        raise DataError(f"torchvision cannot be imported ({error}); `claf-tui doctor` says what to do") from error
    kind = getattr(datasets, name)
    can_download = "download" in inspect.signature(kind.__init__).parameters or name in {"EMNIST", "QMNIST"}
    without = {"download": False} if can_download else {}
    try:
        return kind(root, **arguments, **without)
    except Exception as error:
        if not can_download or not may_download or isinstance(error, ImportError):
            raise _refusal(name, root, error, can_download=can_download) from error
    try:
        root.mkdir(parents=True, exist_ok=True)
        return kind(root, **arguments, download=True)
    except Exception as error:
        raise _refusal(name, root, error, can_download=False) from error


def _refusal(name: str, root: Path, error: Exception, *, can_download: bool) -> DataError:
    if isinstance(error, ImportError):
        return DataError(
            f"torchvision needs another package to read {name} ({error}); get it with {install_line('torchvision')}"
        )
    fix = "or begin the run with --set data.download=true" if can_download else "or connect to the network"
    reason = " ".join(str(error).split())
    return DataError(f"torchvision:{name} cannot be read from {root} ({reason}); put its files there {fix}")
