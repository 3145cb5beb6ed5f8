"""Small pictures on disk, in the forms that data sets come in."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Levels = NDArray[np.uint8]


def drawn(label: int, index: int, side: int = 8, channels: int = 3) -> Levels:
    """One picture (side, side, C), or (side, side) in gray, tinted by its class; no two are the same."""
    draw = np.random.default_rng([label, index, side])
    levels = draw.integers(0, 120, (side, side, channels)).astype(np.uint8)
    levels[..., label % channels] += np.uint8(30 + 60 * (label // channels % 2))
    return levels[..., 0] if channels == 1 else levels


def save(file: Path, levels: Levels) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(file)
    return file


def write_folder(root: Path, parts: dict[str, int], num_classes: int = 2, side: int = 8, channels: int = 3) -> Path:
    """So many pictures of every class in each part; a part "" has the class folders in the root itself."""
    for number, (part, count) in enumerate(parts.items()):
        for label in range(num_classes):
            for index in range(count):
                file = root / part / f"class{label:03d}" / f"{index}.png"
                save(file, drawn(label, 1000 * number + index, side, channels))
    return root


def labelled(count: int, num_classes: int, side: int = 8, channels: int = 3) -> Iterator[tuple[Levels, int]]:
    """Pictures of all classes in turn, with their labels."""
    return ((drawn(index % num_classes, index, side, channels), index % num_classes) for index in range(count))
