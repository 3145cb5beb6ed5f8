"""A whole chart as rows of styled text: legend, axes, grid lines and braille curves. Pure, no Textual."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from claf_tui.charts import braille
from claf_tui.charts.axis import Axis, labels, step_labels, ticks, value_axis
from claf_tui.state.series import Series
from claf_tui.words import figures

Span = tuple[str, str]
"""Text and the name of its style: a colour such as "#56b4e9", such a colour after "dim ", "axis", "grid" or "text"."""
Row = list[Span]

SMOOTHING = 0.85
"""Weight of the past in the moving average of a smoothed curve."""
MAX_MAGNITUDE = 1e30
"""Values beyond it, and on a logarithmic axis below its inverse, are gaps."""
NUM_MARKED = 32
"""A curve with at most this many points shows each of them as a dot."""


@dataclass(frozen=True)
class ChartLine:
    """One named curve and its colour."""

    name: str
    color: str
    series: Series


@dataclass(frozen=True)
class ChartOptions:
    """How a chart looks.

    Attributes:
        is_percent: values are fractions; the axis shows all of 0 to 100 % at least.
        is_smoothed: draw a moving average, and the raw range dimly behind it.
        is_log: logarithmic value axis.
        x_name: what lies on the horizontal axis, in a few characters.
        x_marks: places on it with their labels, ascending, shown as far as they fit; by default round step counts.
    """

    is_percent: bool = False
    is_smoothed: bool = False
    is_log: bool = False
    x_name: str = "step"
    x_marks: tuple[tuple[float, str], ...] = ()


def plot(lines: Sequence[ChartLine], width: int, height: int, options: ChartOptions) -> list[Row]:
    """Draw a chart of `width` x `height` cells.

    With too little room for axes only the legend is left, and nothing at all when no curve has a point.
    """
    shown = [(line, _arrays(line.series, is_log=options.is_log)) for line in lines if line.series.points]
    if width < 16 or height < 5 or not shown:
        return [legend([line for line, _ in shown], width, options)] if shown else []
    num_rows = height - 3
    values = value_axis(
        [array for _, (_, mean, low, high) in shown for array in (mean, low, high)],
        include=(0.0, 1.0) if options.is_percent else None,
        is_log=options.is_log,
    )
    marks = ticks(values, max(2, min(6, num_rows // 2)))
    names = labels(marks, is_percent=options.is_percent)
    margin = max(map(len, names)) + 1
    num_columns = width - margin - 1
    if num_columns < 4:
        return [legend([line for line, _ in shown], width, options)]
    tick_rows = _tick_rows(values, marks, names, num_rows)
    steps = _step_axis([x for _, (x, _, _, _) in shown])
    canvas = _Canvas.blank(num_rows, num_columns)
    for row in tick_rows:
        canvas.glyphs[row, :] = "┈"
        canvas.styles[row, :] = "grid"
    _draw(canvas, shown, (steps, values), options)
    rows = [legend([line for line, _ in shown], width, options)]
    for row in range(num_rows):
        edge = f"{tick_rows.get(row, ''):>{margin - 1}} " + ("┤" if row in tick_rows else "│")
        rows.append([(edge, "axis"), *canvas.spans(row)])
    return rows + _foot(steps, margin, num_columns, options)


def legend(lines: Sequence[ChartLine], width: int, options: ChartOptions) -> Row:
    """Name each curve with its latest value: whole percentages when there is little room, and as many as fit."""
    named = [_named(line, options, digits=1) for line in lines]
    if sum(map(_length, named)) + 2 * len(named) > width + 2:
        named = [_named(line, options, digits=0) for line in lines]
    row: Row = []
    for index, item in enumerate(named):
        gap: Row = [("  ", "text")] if index else []
        if _length(row) + _length(gap) + _length(item) > width:
            break
        row += gap + item
    return row


def _named(line: ChartLine, options: ChartOptions, *, digits: int) -> Row:
    latest = line.series.latest
    value = figures.percent(latest, digits) if options.is_percent else figures.figure(latest)
    return [("●", line.color), (f" {line.name} ", "text"), (value, line.color)]


def _length(row: Row) -> int:
    return sum(len(text) for text, _ in row)


@dataclass(frozen=True)
class _Canvas:
    codes: braille.Ints
    glyphs: NDArray[np.str_]
    styles: NDArray[np.object_]

    @classmethod
    def blank(cls, num_rows: int, num_columns: int) -> "_Canvas":
        shape = (num_rows, num_columns)
        return cls(np.zeros(shape, np.int64), np.full(shape, " "), np.full(shape, "text", dtype=object))

    def add(self, dots: NDArray[np.bool_], style: str) -> None:
        """Lay a curve over what is there; a bright curve takes over the cells of a dim one."""
        cells = braille.to_cells(dots)
        hit = cells > 0
        was_dim = np.array([[str(name).startswith("dim ") for name in row] for row in self.styles], dtype=bool)
        self.codes[hit] = np.where(was_dim & (not style.startswith("dim ")), cells, self.codes | cells)[hit]
        self.styles[hit] = style
        self.glyphs[hit] = [chr(braille.BLANK + code) for code in self.codes[hit]]

    def mark(self, row: int, column: int, style: str) -> None:
        """Put a round dot on a cell."""
        self.glyphs[row, column] = "●"
        self.styles[row, column] = style

    def spans(self, row: int) -> Row:
        """One row as spans of equal style."""
        styles = self.styles[row]
        cuts = [0, *(np.flatnonzero(styles[1:] != styles[:-1]) + 1).tolist(), len(styles)]
        return [("".join(self.glyphs[row, a:b]), str(styles[a])) for a, b in zip(cuts, cuts[1:], strict=False)]


_VALUE_COLUMNS = np.array([False, True, True, True, False])
Arrays = tuple[braille.Floats, braille.Floats, braille.Floats, braille.Floats]


def _arrays(series: Series, *, is_log: bool) -> Arrays:
    table = np.array(series.points, dtype=np.float64)
    magnitude = np.abs(table)
    table[(magnitude > MAX_MAGNITUDE) | (is_log & (table < 1 / MAX_MAGNITUDE) & _VALUE_COLUMNS)] = np.nan
    x, mean, low, high = (np.ascontiguousarray(table[:, column]) for column in range(4))
    return x, mean, low, high


def _step_axis(steps: Sequence[braille.Floats]) -> Axis:
    low = min(float(x[0]) for x in steps)
    high = max(float(x[-1]) for x in steps)
    return Axis(low, high) if high > low else Axis(low - 1, high + 1)


def _draw(
    canvas: _Canvas, shown: Sequence[tuple[ChartLine, Arrays]], axes: tuple[Axis, Axis], options: ChartOptions
) -> None:
    steps, values = axes
    num_rows, num_columns = canvas.codes.shape
    shape = (num_rows * braille.CELL_ROWS, num_columns * braille.CELL_COLUMNS)

    def down(array: braille.Floats) -> braille.Floats:
        from_top: braille.Floats = (shape[0] - 1) - values.place(array, shape[0])
        return from_top

    if options.is_smoothed:
        for line, (x, mean, low, high) in shown:
            raw = braille.Curve(steps.place(x, shape[1]), down(mean), down(high), down(low))
            canvas.add(braille.trace(raw, shape), f"dim {line.color}")
    for line, (x, mean, _, _) in shown:
        mid = down(braille.smooth(mean, SMOOTHING) if options.is_smoothed else mean)
        place = steps.place(x, shape[1])
        canvas.add(braille.trace(braille.Curve(place, mid, mid, mid), shape), line.color)
        if len(x) <= NUM_MARKED and not options.is_smoothed:
            for column, row in zip(place, mid, strict=True):
                if not np.isnan(row):
                    cell = round(row) // braille.CELL_ROWS, round(column) // braille.CELL_COLUMNS
                    canvas.mark(*cell, line.color)


def _tick_rows(values: Axis, marks: list[float], names: list[str], num_rows: int) -> dict[int, str]:
    num_dots = num_rows * braille.CELL_ROWS
    places = values.place(np.array(marks), num_dots)
    rows = [int(num_dots - 1 - round(place)) // braille.CELL_ROWS for place in places]
    return {row: name for row, name in zip(rows, names, strict=True) if 0 <= row < num_rows}


def _foot(steps: Axis, margin: int, num_columns: int, options: ChartOptions) -> list[Row]:
    """The line under the plot, and the labels under it."""
    line = ["─"] * num_columns
    text = [" "] * (num_columns + margin + 1)
    text[: len(options.x_name)] = options.x_name
    free_from = len(options.x_name) + 1
    for mark, name in options.x_marks or _step_marks(steps, num_columns):
        column = round(float(steps.place(np.array([mark]), num_columns)[0]))
        start = min(margin + 1 + column - len(name) // 2, len(text) - len(name))
        if start < free_from:
            continue
        line[column] = "┴"
        text[start : start + len(name)] = name
        free_from = start + len(name) + 1
    corner = " " * margin + "└"
    return [[(corner + "".join(line), "axis")], [("".join(text), "axis")]]


def _step_marks(steps: Axis, num_columns: int) -> list[tuple[float, str]]:
    marks = [mark for mark in ticks(steps, max(3, num_columns // 10)) if mark.is_integer()]
    return list(zip(marks, step_labels(marks), strict=True))
