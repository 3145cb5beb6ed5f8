"""Image sources that plugins register."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from claf_engine.config import DataConfig
from claf_engine.config.plugins import raised_in
from claf_engine.config.registry import ARGUMENT_MARK, DATA, data_name
from claf_engine.data.dataset import Source, Split
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import ClafError, DataError

Array = Tensor | NDArray[Any]


@dataclass(frozen=True)
class Images:
    """What a plugin's source delivers: a pool to train and validate on, and its own test images.

    Attributes:
        train: images (N, 3, H, W), or (N, 1, H, W) in gray, uint8 or floating in [0, 1], and their labels (N,),
            integers in [0, K).
        test: the same, of the same height and width.
        class_names: K names, in the order of the labels.
    """

    train: tuple[Array, Array]
    test: tuple[Array, Array]
    class_names: tuple[str, ...]


LoadImages = Callable[[DataConfig, str], Images]
"""Settings, and the argument of "name:argument" ("" without one), to images."""

Function = TypeVar("Function", bound=LoadImages)


def register_data(name: str) -> Callable[[Function], Function]:
    """Register what loads images as the `data.source` "name" or "name:argument"; a decorator.

    Validation images are held out of its training images as everywhere; `data.num_train` and the like take subsets.

    Raises:
        ConfigError: the name is no plain word, or taken.
    """

    def register(load: Function) -> Function:
        DATA.add(name, load)
        return load

    return register


def registered_source(config: DataConfig) -> Generator[Pulse, None, Source]:
    """Load the images of a plugin's source and check them.

    Raises:
        DataError: the plugin raises, or gives something other than images and labels.
    """
    name, _, argument = config.source.partition(ARGUMENT_MARK)
    entry = DATA.entries[name]
    yield Pulse(f"loading {config.source}")
    try:
        images = entry.value(config, argument)
    except ClafError:
        raise
    except Exception as error:
        told = str(error) if entry.plugin is None else raised_in(error, entry.plugin)
        raise DataError(f"data source {config.source!r} of {entry.origin} cannot be loaded: {told}") from error
    if not isinstance(images, Images):
        raise DataError(
            f"data source {name!r} gives a {type(images).__name__}; return the record claf_engine.data.Images"
        )
    names = _class_names(images, name)
    pool, is_rounded = _split(images.train, len(names), f"the training images of {name!r}")
    test, is_test_rounded = _split(images.test, len(names), f"the test images of {name!r}")
    if pool.images.shape[1:] != test.images.shape[1:]:
        shapes = f"{tuple(pool.images.shape[1:])} and {tuple(test.images.shape[1:])}"
        raise DataError(f"training and test images of {name!r} have shapes {shapes}; give them the same")
    notices = (f"images of {name!r} were rounded to the 256 levels of an 8-bit image",)
    return Source(config.source, names, pool, test, notices if is_rounded or is_test_rounded else ())


def is_registered(source: str) -> bool:
    """Whether a data source is a plugin's."""
    return data_name(source) in DATA.entries


def _class_names(images: Images, name: str) -> tuple[str, ...]:
    names = tuple(images.class_names)
    if len(names) < 2 or len(set(names)) < len(names) or not all(isinstance(word, str) and word for word in names):
        raise DataError(f"class names of {name!r} must be two or more different words, these are {names[:4]}")
    return names


def _split(pair: tuple[Array, Array], num_classes: int, what: str) -> tuple[Split, bool]:
    """Images and labels as they are kept, and whether levels had to be rounded."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise DataError(f"{what} must be a pair (images, labels)")
    images, labels = _tensor(pair[0], what), _tensor(pair[1], f"the labels of {what}")
    levels, is_rounded = _levels(images, what)
    return Split(levels, _labels(labels, len(images), num_classes, what)), is_rounded


def _tensor(values: Array, what: str) -> Tensor:
    """The same values on the CPU."""
    if isinstance(values, Tensor):
        return values.detach().cpu()
    try:
        return torch.from_numpy(np.array(values))
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} are no array of numbers ({error}); give a tensor or a NumPy array") from error


def _levels(images: Tensor, what: str) -> tuple[Tensor, bool]:
    """Images as uint8, and whether they had to be rounded for it."""
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[1] not in (1, 3) or 0 in shape:
        raise DataError(
            f"{what} have shape {shape}; give (N, 3, height, width), or (N, 1, height, width) in gray: channels first"
        )
    if images.dtype == torch.uint8:
        return images.contiguous(), False
    if not images.is_floating_point():
        raise DataError(f"{what} are {_dtype(images)}; give uint8, or floating values in [0, 1]")
    low, high = (float(bound) for bound in torch.aminmax(images))
    if not (low >= 0 and high <= 1):
        raise DataError(f"{what} lie in [{low:.3g}, {high:.3g}]; give floating values in [0, 1], or uint8")
    exact = images.double() * 255
    levels = exact.round()
    return levels.to(torch.uint8), bool((exact - levels).abs().max() > 1e-3)


def _labels(labels: Tensor, count: int, num_classes: int, what: str) -> Tensor:
    if labels.dtype == torch.bool or labels.is_floating_point() or labels.is_complex():
        raise DataError(f"the labels of {what} are {_dtype(labels)}; give whole numbers")
    if tuple(labels.shape) != (count,):
        raise DataError(f"the labels of {what} have shape {tuple(labels.shape)}; give one for each of {count} images")
    low, high = (int(bound) for bound in torch.aminmax(labels))
    if low < 0 or high >= num_classes:
        raise DataError(
            f"the labels of {what} lie in [{low}, {high}], and {num_classes} class names allow 0 to {num_classes - 1}"
        )
    return labels.to(torch.int64)


def _dtype(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")
