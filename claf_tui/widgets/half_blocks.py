"""Pictures in cells: the upper half of a block has one colour, what is behind it another. Two pixels to a cell."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style

UPPER_HALF = "▀"
Bytes = NDArray[np.uint8]


def resized(picture: NDArray[np.generic], height: int, width: int) -> NDArray[np.float64]:
    """Resize a picture (C, H, W) to (C, height, width), each pixel the mean of the area that it covers."""
    _, rows, columns = picture.shape
    across = picture.astype(np.float64) @ _overlaps(columns, width).T
    found: NDArray[np.float64] = _overlaps(rows, height) @ across
    return found


def half_blocks(picture: NDArray[np.generic], height: int, width: int) -> list[list[Segment]]:
    """Draw a picture of levels 0 to 255 in `height` x `width` cells; a list of segments for each line.

    The picture is (3, H, W), or (1, H, W) in gray.
    """
    levels = resized(picture, 2 * height, width).round().clip(0, 255).astype(np.int64)
    red, green, blue = np.broadcast_to(levels, (3, *levels.shape[1:]))
    packed = (red << 16) + (green << 8) + blue
    return [_line(packed[2 * row].tolist(), packed[2 * row + 1].tolist()) for row in range(height)]


def _line(upper: list[int], lower: list[int]) -> list[Segment]:
    """One line of cells; neighbours of the same colours become one segment."""
    pairs = list(zip(upper, lower, strict=True))
    starts = [index for index, pair in enumerate(pairs) if index == 0 or pair != pairs[index - 1]]
    ends = [*starts[1:], len(pairs)]
    return [Segment(UPPER_HALF * (end - start), _style(*pairs[start])) for start, end in zip(starts, ends, strict=True)]


@lru_cache(maxsize=16384)
def _style(upper: int, lower: int) -> Style:
    return Style.from_color(_color(upper), _color(lower))


@lru_cache(maxsize=16384)
def _color(packed: int) -> Color:
    return Color.from_triplet(ColorTriplet(packed >> 16, packed >> 8 & 255, packed & 255))


@lru_cache(maxsize=64)
def _overlaps(before: int, after: int) -> NDArray[np.float64]:
    """What share of each new pixel each old one has, (after, before); rows sum to 1."""
    edges = np.arange(after + 1) * before / after
    old = np.arange(before)
    covered = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    found: NDArray[np.float64] = covered.clip(min=0) * after / before
    return found
