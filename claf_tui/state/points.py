"""The points of a curve as arrays, cut to what is in view and gathered into as many as can be told apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_MAGNITUDE = 1e30
"""Values beyond it, and on a logarithmic axis below its inverse, are gaps."""


@dataclass(frozen=True, eq=False)
class Points:
    """Points of a curve, by ascending `x`, each standing for `counts` neighbouring values. All arrays have shape (n,).

    Attributes:
        x: where the last of its values lies.
        mean: their mean; NaN where one of them is not finite, which the curve shows as a gap.
        low: the least of the finite ones, and `high` the greatest.
    """

    x: Floats
    mean: Floats
    low: Floats
    high: Floats
    counts: Floats

    @classmethod
    def of_values(cls, x: Floats, values: Floats) -> "Points":
        """Points that stand for one value each."""
        return cls(x, values, values, values, np.ones(len(x)))

    def __len__(self) -> int:
        return len(self.x)

    def at(self, places: slice | NDArray[np.int64]) -> "Points":
        """Some of the points."""
        return Points(self.x[places], self.mean[places], self.low[places], self.high[places], self.counts[places])


def without_extremes(points: Points, *, is_log: bool) -> Points:
    """Turn into gaps what no axis can show; a point is one where any of its values lies beyond `MAX_MAGNITUDE`.

    One that reaches from positive values down to what a logarithm does not have keeps its place, without a least value.
    """
    least = 1 / MAX_MAGNITUDE if is_log else -MAX_MAGNITUDE
    is_off = (points.high > MAX_MAGNITUDE) | (points.low < -MAX_MAGNITUDE) | (points.mean < least)
    is_low_off = is_off | (points.low < least)
    if not is_low_off.any():
        return points
    mean, high = (np.where(is_off, np.nan, values) for values in (points.mean, points.high))
    return Points(points.x, mean, np.where(is_low_off, np.nan, points.low), high, points.counts)


def within(points: Points, low: float, high: float) -> Points:
    """The points from `low` to `high`, with the neighbour on either side, so that the curve runs off the edge."""
    first = max(0, int(np.searchsorted(points.x, low)) - 1)
    last = int(np.searchsorted(points.x, high, side="right")) + 1
    return points if first == 0 and last >= len(points) else points.at(slice(first, last))


def gathered(points: Points, most: int) -> Points:
    """Gather neighbours so that at most `most` points are left; no peak and no gap is lost."""
    if len(points) <= most:
        return points
    starts = np.arange(most, dtype=np.int64) * len(points) // most
    counts = np.add.reduceat(points.counts, starts)
    ends = np.append(starts[1:], len(points)) - 1
    # fmin and fmax pass over what is not a number, the sum does not: one value that is not finite makes a gap. So does
    # a sum beyond all numbers; its range says why.
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.add.reduceat(points.mean * points.counts, starts) / counts
    return Points(
        points.x[ends],
        mean,
        np.fmin.reduceat(points.low, starts),
        np.fmax.reduceat(points.high, starts),
        counts,
    )


def nearest(points: Points, x: float) -> int | None:
    """The place of the point that lies nearest to `x`; None without points or where `x` lies beyond all of them."""
    if not len(points) or not points.x[0] <= x <= points.x[-1]:
        return None
    right = int(np.searchsorted(points.x, x))
    return right if right == 0 or points.x[right] - x < x - points.x[right - 1] else right - 1
