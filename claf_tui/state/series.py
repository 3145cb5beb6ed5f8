"""A curve that never grows without bound. Pure, no Textual."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from claf_tui.state.points import Points

MAX_POINTS = 1024
"""A series that reaches this many points halves itself: neighbours merge into their mean, minimum and maximum."""


class Point(NamedTuple):
    """One or several neighbouring values: where the last one lies, their mean, and the range they span.

    `mean` is NaN when one of the values was not finite: the curve shows a gap there. `low` and `high` leave it out.
    """

    x: float
    mean: float
    low: float
    high: float
    num_values: int


@dataclass(frozen=True)
class Series:
    """Values over optimiser steps, at most `MAX_POINTS` points, each standing for `stride` values.

    Appending copies at most `MAX_POINTS` references, whatever the length of the run; `latest` is the exact last value.
    """

    points: tuple[Point, ...] = ()
    stride: int = 1
    latest: float | None = None

    @cached_property
    def arrays(self) -> "Points":
        """The points as arrays."""
        # Here, because lists and lines of runs, which draw nothing, must begin without waiting for numpy.
        import numpy as np

        from claf_tui.state.points import Points

        table = np.array(self.points, dtype=np.float64).reshape(-1, 5)
        x, mean, low, high, counts = np.ascontiguousarray(table.T)
        return Points(x, mean, low, high, counts)

    def append(self, x: float, y: float) -> "Series":
        """Add one value at `x`, which is not smaller than any before."""
        new = Point(x, y if math.isfinite(y) else math.nan, *_range(y), 1)
        if self.points and self.points[-1].num_values < self.stride:
            points = (*self.points[:-1], merge(self.points[-1], new))
        else:
            points = (*self.points, new)
        if len(points) < MAX_POINTS:
            return Series(points, self.stride, y)
        halved = tuple(merge(points[i], points[i + 1]) for i in range(0, len(points) - 1, 2))
        return Series(halved, self.stride * 2, y)

    def until(self, x: float) -> "Series":
        """Drop what lies after `x`: a resumed run takes those steps again."""
        kept = tuple(point for point in self.points if point.x <= x)
        if len(kept) == len(self.points):
            return self
        return Series(kept, self.stride, kept[-1].mean if kept else None)


def merge(left: Point, right: Point) -> Point:
    """Merge two neighbouring points."""
    num_values = left.num_values + right.num_values
    mean = (left.mean * left.num_values + right.mean * right.num_values) / num_values
    lows = [low for low in (left.low, right.low) if not math.isnan(low)]
    highs = [high for high in (left.high, right.high) if not math.isnan(high)]
    return Point(right.x, mean, min(lows, default=math.nan), max(highs, default=math.nan), num_values)


def _range(y: float) -> tuple[float, float]:
    return (y, y) if math.isfinite(y) else (math.nan, math.nan)
