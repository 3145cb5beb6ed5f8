"""Curves as braille dots, two columns and four rows to a cell. Pure numpy, no Textual."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from claf_tui.state.points import Floats

Ints = NDArray[np.int64]

CELL_COLUMNS, CELL_ROWS = 2, 4
BLANK = 0x2800
_WEIGHTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.int64)


@dataclass(frozen=True)
class Curve:
    """Points in dot coordinates: `x` from the left, `mid`, `top` and `bottom` from the top; NaN in `mid` is a gap."""

    x: Floats
    mid: Floats
    top: Floats
    bottom: Floats


def trace(curve: Curve, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Set the dots of one curve.

    Every column is filled from the smallest to the largest value that falls into it, so no peak is lost however many
    points share the column; between points the curve is a straight line; across a gap there is nothing.

    Args:
        curve: points with x not decreasing; what lies beyond [0, columns - 1] only shows where lines lead.
        shape: rows and columns of the dot grid.
    """
    num_rows, num_columns = shape
    top = np.full(num_columns, np.inf)
    bottom = np.full(num_columns, -np.inf)
    for run in _finite_runs(curve.mid):
        x, mid = curve.x[run], curve.mid[run]
        first, last = max(0, int(np.rint(x[0]))), min(num_columns - 1, int(np.rint(x[-1])))
        if first > last:
            continue
        columns = np.arange(first, last + 1)
        edges = np.append(columns - 0.5, columns[-1] + 0.5).clip(x[0], x[-1])
        crossing = np.interp(edges, x, mid)
        top[columns] = np.minimum(top[columns], np.minimum(crossing[:-1], crossing[1:]))
        bottom[columns] = np.maximum(bottom[columns], np.maximum(crossing[:-1], crossing[1:]))
        at = np.rint(x).astype(np.int64)
        inside = (at >= 0) & (at < num_columns)
        np.minimum.at(top, at[inside], curve.top[run][inside])
        np.maximum.at(bottom, at[inside], curve.bottom[run][inside])
    row = np.arange(num_rows)[:, None]
    dots: NDArray[np.bool_] = (row >= np.rint(top)) & (row <= np.rint(bottom))
    return dots


def to_cells(dots: NDArray[np.bool_]) -> Ints:
    """Pack a dot grid into the bit patterns of braille cells; 0 is an empty cell."""
    rows, columns = dots.shape[0] // CELL_ROWS, dots.shape[1] // CELL_COLUMNS
    blocks = dots.reshape(rows, CELL_ROWS, columns, CELL_COLUMNS).astype(np.int64)
    cells: Ints = np.einsum("ricj,ij->rc", blocks, _WEIGHTS)
    return cells


def marker(dots: NDArray[np.bool_], row: int, column: int) -> None:
    """Set a dot and its four neighbours, as far as the grid reaches: a point that is seen on its curve."""
    num_rows, num_columns = dots.shape
    for down, right in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)):
        if 0 <= row + down < num_rows and 0 <= column + right < num_columns:
            dots[row + down, column + right] = True


def _finite_runs(values: Floats) -> list[Any]:
    """Slices of consecutive values that are not NaN."""
    finite = np.concatenate([[False], ~np.isnan(values), [False]])
    edges = np.flatnonzero(finite[1:] != finite[:-1])
    return [slice(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
