"""Data sets that give (image, label) for a place, such as torchvision's and a user's own."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from claf_engine.config import DataConfig
from claf_engine.data.decoding import Raw
from claf_engine.data.items import Catalogue, Items, Part
from claf_engine.data.labelling import numbered, plain_label
from claf_engine.data.splitting import divide
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError

LABELS = ("targets", "labels", "_labels")
"""Where data sets keep the labels of all their images, which then need not be read for them."""
_PULSE_EVERY = 500


@dataclass(frozen=True)
class MapStyle:
    """A data set of this process, which other processes get a copy of."""

    dataset: Any
    what: str

    def __len__(self) -> int:
        return len(self.dataset)

    def raw(self, index: int) -> Raw:
        """The image of an item.

        Raises:
            DataError: the data set raises, or the item has no image.
        """
        return image_of(item_of(self.dataset, index, self.name(index))[0], self.name(index))

    def name(self, index: int) -> str:
        """Its place in the data set."""
        return f"{index} of {self.what}"


def item_of(dataset: Any, index: int, name: str) -> tuple[Any, Any]:
    """Image and label at a place.

    Raises:
        DataError: the data set raises, or gives no pair.
    """
    try:
        item = dataset[index]
    except Exception as error:
        raise DataError(f"image {name} cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise DataError(f"item {name} is a {type(item).__name__}; give pairs (image, label)")
    return item[0], item[1]


def image_of(image: Any, name: str) -> Image.Image:
    """An image in one of the forms that data sets give as one of Pillow's.

    Args:
        image: one of Pillow's; or an array (H, W), (H, W, C) or (C, H, W), or a tensor (H, W) or (C, H, W), of 1, 3 or
            4 channels, uint8 or floating in [0, 1], which is rounded to 256 levels.
        name: what complaints call it.

    Raises:
        DataError: it is none of these.
    """
    if isinstance(image, Image.Image):
        return image
    if not isinstance(image, Tensor | np.ndarray):
        raise DataError(f"image {name} is a {type(image).__name__}; give a PIL image, an array or a tensor")
    is_tensor = isinstance(image, Tensor)
    levels = _levels(image.detach().cpu().numpy() if isinstance(image, Tensor) else image, name)
    if levels.ndim == 3:
        is_last = levels.shape[2] in (1, 3, 4) and not (is_tensor and levels.shape[0] in (1, 3))
        levels = levels if is_last else levels.transpose(1, 2, 0)
        levels = levels[..., 0] if levels.shape[2] == 1 else levels
    if levels.ndim not in (2, 3) or 0 in levels.shape or (levels.ndim == 3 and levels.shape[2] not in (3, 4)):
        raise DataError(
            f"image {name} has shape {tuple(image.shape)}; give (height, width) with 1 or 3 channels first or last"
        )
    return Image.fromarray(np.ascontiguousarray(levels))


def labels_steps(dataset: Any, what: str, attribute: str | None = None) -> Generator[Pulse, None, list[Any]]:
    """The labels of all items, as the data set gives them: from where it keeps them, or else by reading it.

    Args:
        dataset: the data set.
        what: what it is called.
        attribute: where it keeps labels, or pairs that end with one; by default one of the usual places, if an item of
            each class has the label that is kept there: a data set may give others than it keeps.

    Raises:
        DataError: an item cannot be read.
    """
    for name in (attribute,) if attribute is not None else LABELS:
        kept = getattr(dataset, name, None)
        if kept is None or len(kept) != len(dataset) or getattr(kept, "ndim", 1) != 1:
            continue
        labels = [value[-1] if isinstance(value, tuple) else value for value in kept]
        if attribute is not None or _are_given(labels, dataset, what):
            return labels
    found = []
    for index in range(len(dataset)):
        if index % _PULSE_EVERY == 0:
            yield Pulse(f"reading the labels of {what}", index, len(dataset))
        found.append(item_of(dataset, index, f"{index} of {what}")[1])
    return found


def _are_given(labels: Sequence[Any], dataset: Any, what: str) -> bool:
    """Whether the first item of each class has the label that is kept for it."""
    plain = [plain_label(value) for value in labels]
    firsts = {value: index for index, value in reversed(list(enumerate(plain)))}
    return all(
        plain_label(item_of(dataset, index, f"{index} of {what}")[1]) == value for value, index in firsts.items()
    )


def names_of(dataset: Any) -> tuple[str, ...] | None:
    """The class names that a data set knows; of several names of a class the first."""
    for attribute in ("classes", "categories"):
        names = getattr(dataset, attribute, None)
        if isinstance(names, Sequence) and not isinstance(names, str) and len(names):
            return tuple(str(name[0] if isinstance(name, tuple | list) else name) for name in names)
    return None


def catalogue_of(
    config: DataConfig,
    parts: Mapping[str, tuple[Items, Sequence[Any]]],
    names: Sequence[str] | None,
    notices: tuple[str, ...] = (),
) -> Catalogue:
    """The catalogue of items with labels as they are given.

    Args:
        config: names the source, and says how it is divided where it does not say so itself.
        parts: items and labels, by "train", "test" and "validation", or "all".
        names: of the classes, where they are known.
        notices: see `Catalogue`.

    Raises:
        DataError: the labels are none of the classes.
    """
    class_names, found = numbered({part: labels for part, (_, labels) in parts.items()}, names, config.source)
    divided = divide({part: Part.of(items, found[part]) for part, (items, _) in parts.items()}, config, config.source)
    return Catalogue(
        source=config.source,
        place=config.source,
        class_names=class_names,
        train=divided.train,
        test=divided.test,
        validation=divided.validation,
        notices=(*notices, *divided.notices),
    )


def _levels(values: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    if not np.issubdtype(values.dtype, np.floating):
        raise DataError(f"image {name} is {values.dtype}; give uint8, or floating values in [0, 1]")
    if not (values.size and values.min() >= 0 and values.max() <= 1):
        raise DataError(f"image {name} leaves [0, 1]; give floating values in it, without normalising them, or uint8")
    return np.round(values.astype(np.float64) * 255).astype(np.uint8)
