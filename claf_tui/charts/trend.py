"""The trend of a noisy curve: local lines, which lag behind nothing. Pure numpy."""

import numpy as np

from claf_tui.state.points import Floats, Points, gathered

LEVELS = (0.0, 0.005, 0.01, 0.02, 0.04, 0.08)
"""Widths of smoothing, from none on, as shares of what is in view."""
USUAL_LEVEL = 3
LEAST_VALUES = 200
"""Values in view below which nothing is smoothed unless a person asks for it."""
MAX_POINTS = 240
"""Points that a trend is fitted to; it takes the square of them."""


def trend(points: Points, width: float) -> Points:
    """Fit a line around each point by least squares with Gaussian weights, and take its value there.

    Unlike an exponential mean it does not begin at the first value and does not lag: the trend of a straight line is
    that line, up to both ends (local linear regression, Cleveland 1979). Gaps stay gaps and do not spread.

    Args:
        points: the curve; beyond 240 of them neighbours are gathered first.
        width: standard deviation of the weights, in units of x.
    """
    few = gathered(points, MAX_POINTS)
    known = ~np.isnan(few.mean)
    x, y = few.x[known], few.mean[known]
    fitted = np.full(len(few), np.nan)
    fitted[known] = _local_lines(x, y, few.counts[known], width)
    return Points(few.x, fitted, fitted, fitted, few.counts)


def _local_lines(x: Floats, y: Floats, counts: Floats, width: float) -> Floats:
    if not len(x):
        return y
    distance = x[None, :] - x[:, None]
    weight = np.exp(-0.5 * (distance / width) ** 2) * counts[None, :]
    moved = weight * distance
    total, first, second = weight.sum(1), moved.sum(1), (moved * distance).sum(1)
    sum_y, sum_xy = weight @ y, moved @ y
    determinant = total * second - first**2
    # Where all weight lies on one place there is no slope, and the line is its mean.
    has_slope = determinant > 1e-9 * total**2 * width**2
    line = (second * sum_y - first * sum_xy) / np.where(has_slope, determinant, 1.0)
    fitted: Floats = np.where(has_slope, line, sum_y / total)
    return fitted


def usual_level(num_values: float) -> int:
    """The level of smoothing that nobody has to ask for: none for a curve of few values."""
    return USUAL_LEVEL if num_values >= LEAST_VALUES else 0
