"""A whole chart as rows of styled text: legend, axes, grid lines and braille curves. Pure, no Textual."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size

from claf_tui.charts import braille
from claf_tui.charts.axis import Axis, clock_labels, clock_ticks, labels, step_labels, ticks, value_axis
from claf_tui.charts.trend import LEVELS, trend, usual_level
from claf_tui.charts.view import Extent, View, window
from claf_tui.state.points import Floats, Points, gathered, nearest, within, without_extremes
from claf_tui.state.run_state import Mark
from claf_tui.state.timeline import Timeline
from claf_tui.words import figures

Span = tuple[str, str]
"""Text and the name of its style: a colour such as "#56b4e9", such a colour after "bright " or "dim ", or a name."""
Row = list[Span]

NUM_MARKED = 32
"""A curve with at most this many points in view shows each of them by a cross of dots."""
DASHES = ((), (8, 3), (3, 3), (9, 3, 2, 3))
"""Dots that are drawn and left out in turn, so that curves differ without colours."""
SAMPLES = ("●", "╍", "┅", "╌")
"""What stands for each kind of dashes in a legend."""
GAP = "╳"
MARK_GLYPHS = {"phase": "┃", "edit": "✎", "best": "★", "alert": "⚠"}
MIN_NAMED_ROWS = 4
"""A lower plot has no room for what an edit changed."""
MIN_NAME = 8
"""Cells below which it tells nothing."""
MARK_ORDER = ("phase", "edit", "best", "alert")
"""Of marks in one place the last of these is shown."""


class Curve(Protocol):
    """What a chart draws: `claf_tui.state.series.Series`, or all points of a curve in full."""

    @property
    def latest(self) -> float | None:
        """The exact last value, if there is one."""

    @property
    def arrays(self) -> Points:
        """Its points."""


@dataclass(frozen=True)
class ChartLine:
    """One named curve; lines of one name share a place in the legend.

    Attributes:
        dash: which of the `DASHES` draw it.
        timeline: when its steps were taken where that is not the run of the scene, but one that is laid over it.
        tag: a letter that is written at its end, where colours and dashes do not tell it from others.
    """

    name: str
    color: str
    curve: Curve
    dash: int = 0
    timeline: Timeline | None = None
    tag: str = ""


@dataclass(frozen=True)
class ChartOptions:
    """How a chart looks.

    Attributes:
        is_percent: values are fractions; the axis shows all of 0 to 100 % at least.
        has_trend: lay a trend over the curve where it has enough values.
        is_log: logarithmic value axis.
        is_colourless: tell curves apart by dashes alone.
        x_name: what lies on the horizontal axis, in a few characters; by default what the view counts there.
        x_marks: places on it with their labels, ascending, shown as far as they fit; by default round ones.
    """

    is_percent: bool = False
    has_trend: bool = False
    is_log: bool = False
    is_colourless: bool = False
    x_name: str = ""
    x_marks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Scene:
    """What the charts of one run have in common.

    Attributes:
        view: how they look at it.
        extent: its first and last step; None for those of the curves.
        timeline: when its steps were taken.
        marks: what happened, below the axis.
        bands: where a stretch begins, and its name, above the curves.
    """

    view: View = View()
    extent: Extent | None = None
    timeline: Timeline = field(default_factory=Timeline)
    marks: tuple[Mark, ...] = ()
    bands: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Horizontal:
    """The horizontal axis on the columns of cells of a plot."""

    view: View
    timeline: Timeline
    axis: Axis
    num_columns: int

    @classmethod
    def over(cls, shown: Extent, scene: Scene, num_columns: int) -> "Horizontal":
        """The axis on which some steps take `num_columns` cells."""
        view = scene.view
        low, high = (float(value) for value in _counted(np.array([shown.first, shown.last]), view, scene.timeline))
        if high <= low:
            low, high = low - 1, high + 1
        if view.is_x_log and high > 0:
            low = max(low, min(1.0, high / 2) if view.x_axis != "clock" else high / 1e4)
            return cls(view, scene.timeline, Axis(low, high, is_log=low < high), num_columns)
        return cls(view, scene.timeline, Axis(low, high), num_columns)

    def place(self, steps: Floats) -> Floats:
        """Steps to dots from the left."""
        counted = _counted(steps, self.view, self.timeline)
        return self.axis.place(counted, self.num_columns * braille.CELL_COLUMNS)

    def step_at(self, column: float) -> float:
        """The step in the middle of a column of cells."""
        num_dots = self.num_columns * braille.CELL_COLUMNS
        counted = self.axis.value(column * braille.CELL_COLUMNS + 0.5, num_dots)
        match self.view.x_axis:
            case "clock":
                return float(self.timeline.clock.steps(np.array([counted]))[0])
            case "epoch":
                return float(self.timeline.epochs.steps(np.array([counted]))[0])
            case "step":
                return counted


@dataclass(frozen=True)
class Drawing:
    """A chart as rows of text.

    Attributes:
        rows: of spans; empty where no curve has a point.
        left: cells before the plot itself begins.
        horizontal: its axis; None where there is room for the legend only.
    """

    rows: list[Row]
    left: int = 0
    horizontal: Horizontal | None = None


@dataclass(frozen=True)
class _Shown:
    """A line with all its points, those in view, and their trend, if it has one."""

    line: ChartLine
    whole: Points
    points: Points
    trend: Points | None


def plot(
    lines: Sequence[ChartLine], width: int, height: int, options: ChartOptions, scene: Scene | None = None
) -> Drawing:
    """Draw a chart of `width` x `height` cells.

    With too little room for axes only the legend is left, and nothing at all when no curve has a point.
    """
    scene = scene or Scene()
    drawn = [line for line in lines if len(line.curve.arrays)]
    if not drawn:
        return Drawing([])
    if options.is_colourless:
        names = list(dict.fromkeys(line.name for line in drawn))
        drawn = [replace(line, dash=names.index(line.name)) for line in drawn]
    wholes = [_aligned(line, scene) for line in drawn]
    shown_steps = window(scene.view, scene.extent or _extent(wholes))
    most = width * braille.CELL_COLUMNS * 2
    shown = [
        _in_view(line, whole, shown_steps, most, options, scene.view) for line, whole in zip(drawn, wholes, strict=True)
    ]
    head = legend(shown, width, options, scene.view.cursor)
    if width < 16 or height < 5:
        return Drawing([head])
    num_rows = height - 3
    values = _value_axis(shown, options)
    marks = ticks(values, max(2, min(6, num_rows // 2)))
    names = labels(marks, is_percent=options.is_percent)
    margin = max(map(len, names)) + 1
    num_columns = width - margin - 1
    if num_columns < 4:
        return Drawing([head])
    horizontal = Horizontal.over(shown_steps, scene, num_columns)
    canvas = _Canvas.blank(num_rows, num_columns)
    tick_names = _draw_grid(canvas, values, list(zip(marks, names, strict=True)))
    _draw_bands(canvas, horizontal, scene.bands)
    _draw_edits(canvas, horizontal, scene.marks)
    _draw(canvas, shown, horizontal, values, options)
    _draw_cursor(canvas, horizontal, scene.view)
    rows = [head]
    for row in range(num_rows):
        name = tick_names.get(row, "")
        rows.append([(f"{name:>{margin - 1}} {'┤' if name else '│'}", "axis"), *canvas.spans(row)])
    foot = _foot(shown, horizontal, margin, options, scene)
    return Drawing(rows + foot, margin + 1, horizontal)


def legend(shown: Sequence[_Shown], width: int, options: ChartOptions, cursor: float | None = None) -> Row:
    """Name each curve with its latest value, or that at the cursor, and its trend there.

    Where there is little room trends go first, then decimals of percentages, then curves from the last.
    """
    named: dict[str, _Shown] = {}
    for item in shown:
        if item.line.name not in named or cursor is None or nearest(item.whole, cursor) is not None:
            named[item.line.name] = item
    for digits, has_trend in ((1, True), (1, False), (0, False)):
        items = [_named(item, options, cursor, digits, has_trend=has_trend) for item in named.values()]
        if sum(map(_length, items)) + 2 * len(items) <= width + 2:
            break
    row: Row = []
    for index, written in enumerate(items):
        gap: Row = [("  ", "text")] if index else []
        if _length(row) + _length(gap) + _length(written) > width:
            break
        row += gap + written
    return row


def _named(item: _Shown, options: ChartOptions, cursor: float | None, digits: int, *, has_trend: bool) -> Row:
    def text(value: float | None) -> str:
        return figures.percent(value, digits) if options.is_percent else figures.figure(value)

    raw, smooth = item.line.curve.latest, None
    if cursor is not None:
        place = nearest(item.whole, cursor)
        raw = float(item.whole.mean[place]) if place is not None else None
    if has_trend and item.trend is not None:
        place = len(item.trend) - 1 if cursor is None else nearest(item.trend, cursor)
        smooth = float(item.trend.mean[place]) if place is not None else None
    color = _raw_style(item.line)
    sample = SAMPLES[_dash(item.line.dash)]
    row = [(sample, color), (f" {item.line.name} ", "text"), (text(raw), color)]
    if smooth is not None and not np.isnan(smooth):
        row += [(f" trend {text(smooth)}", f"bright {item.line.color}")]
    return row


def _length(row: Row) -> int:
    return sum(cell_len(text) for text, _ in row)


@dataclass(frozen=True)
class _Canvas:
    codes: braille.Ints
    glyphs: NDArray[np.str_]
    styles: NDArray[np.object_]
    is_wide: NDArray[np.bool_]

    @classmethod
    def blank(cls, num_rows: int, num_columns: int) -> "_Canvas":
        shape = (num_rows, num_columns)
        return cls(
            np.zeros(shape, np.int64),
            np.full(shape, " "),
            np.full(shape, "text", dtype=object),
            np.zeros(shape, np.bool_),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of dots."""
        return self.codes.shape[0] * braille.CELL_ROWS, self.codes.shape[1] * braille.CELL_COLUMNS

    def add(self, dots: NDArray[np.bool_], style: str) -> None:
        """Lay a curve over what is there; a trend takes over the cells of the curve that it belongs to."""
        cells = braille.to_cells(dots)
        hit = cells > 0
        self.codes[hit] = (cells if style.startswith("bright ") else self.codes | cells)[hit]
        self.styles[hit] = style
        self.glyphs[hit] = [chr(braille.BLANK + code) for code in self.codes[hit]]

    def write(self, row: int, column: int, text: str, style: str) -> None:
        """Write below all curves, as far as there is room; a wide character is followed by an empty cell."""
        cells = [part for char in text for part in (char, *[""] * (cell_len(char) - 1))]
        cells = cells[: self.codes.shape[1] - column]
        self.glyphs[row, column : column + len(cells)] = cells
        self.is_wide[row, column : column + len(cells)] = [cell_len(cell) == 2 for cell in cells]
        self.styles[row, column : column + len(cells)] = style

    def spans(self, row: int) -> Row:
        """One row as spans of equal style; a wide character of which a curve took one half is left out."""
        glyphs = self.glyphs[row].copy()
        for column in np.flatnonzero(self.is_wide[row]):
            halves = [str(half) for half in glyphs[column : column + 2]]
            if len(halves) < 2 or halves[1] or cell_len(halves[0]) != 2:
                glyphs[column : column + 2] = [half if cell_len(half) == 1 else " " for half in halves]
        return _spans(glyphs, self.styles[row])


def _spans(glyphs: NDArray[np.str_], styles: NDArray[np.object_]) -> Row:
    cuts = [0, *(np.flatnonzero(styles[1:] != styles[:-1]) + 1).tolist(), len(styles)]
    return [("".join(glyphs[a:b]), str(styles[a])) for a, b in zip(cuts, cuts[1:], strict=False)]


def _extent(curves: Sequence[Points]) -> Extent:
    return Extent(min(float(points.x[0]) for points in curves), max(float(points.x[-1]) for points in curves))


def aligned(steps: Floats, view: View, timeline: Timeline, onto: Timeline) -> Floats:
    """Steps of one run as those steps of another that stand in the same place of the horizontal axis.

    Args:
        steps: ascending; shape (n,), like what comes back.
        view: what the axis counts.
        timeline: of the run that the steps are of.
        onto: that of the other.
    """
    match view.x_axis:
        case "clock":
            return onto.clock.steps(timeline.clock.values(steps))
        case "epoch":
            return onto.epochs.steps(timeline.epochs.values(steps))
        case "step":
            return steps


def _aligned(line: ChartLine, scene: Scene) -> Points:
    """All points of a line, by steps of the run of the scene."""
    points = line.curve.arrays
    if line.timeline is None or scene.view.x_axis == "step":
        return points
    return replace(points, x=aligned(points.x, scene.view, line.timeline, scene.timeline))


def _in_view(line: ChartLine, whole: Points, shown: Extent, most: int, options: ChartOptions, view: View) -> _Shown:
    """What of a line is shown, as at most `most` points: more than there are columns of dots."""
    points = gathered(within(whole, shown.first, shown.last), most)
    points = without_extremes(points, is_log=options.is_log)
    level = view.smoothing if view.smoothing is not None else usual_level(float(points.counts.sum()))
    if not options.has_trend or level == 0 or len(points) < 2:
        return _Shown(line, whole, points, None)
    return _Shown(line, whole, points, trend(points, max(LEVELS[level] * shown.span, 1e-9)))


def _value_axis(shown: Sequence[_Shown], options: ChartOptions) -> Axis:
    arrays = [array for item in shown for array in (item.points.low, item.points.high)]
    include = (0.0, 1.0) if options.is_percent and not options.is_log else None
    return value_axis(arrays, include=include, is_log=options.is_log)


def _counted(steps: Floats, view: View, timeline: Timeline) -> Floats:
    match view.x_axis:
        case "clock":
            return timeline.clock.values(steps)
        case "epoch":
            return timeline.epochs.values(steps)
        case "step":
            return steps


def _from_top(values: Axis, num_dots: int, array: Floats) -> Floats:
    """The one mapping of values to dots from the top, for curves, grid and ticks alike."""
    from_top: Floats = (num_dots - 1) - values.place(array, num_dots)
    return from_top


def _draw_grid(canvas: _Canvas, values: Axis, marks: Sequence[tuple[float, str]]) -> dict[int, str]:
    """Draw a line of dots at each tick, exactly where a curve of that value would lie; gives names by row of text."""
    num_dots, num_columns = canvas.shape[0], canvas.codes.shape[1]
    names: dict[int, str] = {}
    for value, name in marks:
        dot = int(np.rint(_from_top(values, num_dots, np.array([value]))[0]))
        if 0 <= dot < num_dots:
            row, inside = divmod(dot, braille.CELL_ROWS)
            names[row] = name
            canvas.write(row, 0, chr(braille.BLANK + (0x01, 0x02, 0x04, 0x40)[inside]) * num_columns, "grid")
    return names


def _draw_bands(canvas: _Canvas, horizontal: Horizontal, bands: Sequence[tuple[float, str]]) -> None:
    """Name stretches of the horizontal axis above the curves; of one that has no room only the last letters go."""
    num_columns = canvas.codes.shape[1]
    starts = [_column(horizontal, step) for step, _ in bands]
    for number, (start, (_, name)) in enumerate(zip(starts, bands, strict=True)):
        later = [column for column in starts[number + 1 :] if column < num_columns]
        room = min([*later, num_columns]) - max(start, 0)
        if start >= num_columns or room < 1 or (start < 0 and any(column <= 0 for column in later)):
            continue
        if start > 0:
            for row in range(canvas.codes.shape[0]):
                canvas.write(row, start, "┊", "grid")
        text = name if cell_len(name) + 2 <= room else set_cell_size(name, max(0, room - 2))
        canvas.write(0, max(start, 0) + (start > 0), text, "axis")


def _draw_edits(canvas: _Canvas, horizontal: Horizontal, marks: Sequence[Mark]) -> None:
    """A vertical line below the curves where a person changed a value, and what changed as far as there is room.

    Edits of one column share a line, which the last of them names. A name stands right of its line, or else left of it,
    and the later one is written where two would meet.
    """
    num_rows, num_columns = canvas.codes.shape
    texts = {_column(horizontal, mark.step): mark.text for mark in marks if mark.text}
    places = sorted(column for column in texts if 0 <= column < num_columns)
    free_until = num_columns
    for column, before in pairwise([*reversed(places), -1]):
        for row in range(min(1, num_rows - 1), num_rows):
            canvas.write(row, column, "╎", "edit")
        text, room = texts[column], free_until - column - 1
        is_left = cell_len(text) > room and cell_len(text) <= column - before - 1
        text = text if is_left or cell_len(text) <= room else set_cell_size(text, max(0, room))
        start = column - cell_len(text) if is_left else column + 1
        if num_rows > MIN_NAMED_ROWS and cell_len(text) > MIN_NAME:
            canvas.write(1, start, text, "edit")
        free_until = min(start, column)


def _draw(
    canvas: _Canvas, shown: Sequence[_Shown], horizontal: Horizontal, values: Axis, options: ChartOptions
) -> None:
    shape = canvas.shape

    def dots(points: Points, dash: int, *, has_markers: bool) -> NDArray[np.bool_]:
        place = horizontal.place(points.x)
        known = ~np.isnan(place)
        mid, top, bottom = (_from_top(values, shape[0], array) for array in (points.mean, points.high, points.low))
        # What reaches below a logarithmic axis is drawn down to its foot.
        bottom = np.where(np.isnan(bottom), shape[0] - 1.0, bottom)
        curve = braille.Curve(place[known], mid[known], top[known], bottom[known])
        drawn = _dashed(braille.trace(curve, shape), DASHES[_dash(dash)])
        if has_markers:
            for column, row in zip(place, mid, strict=True):
                if not np.isnan(row) and not np.isnan(column):
                    braille.marker(drawn, int(np.rint(row)), int(np.rint(column)))
        return drawn

    # What is laid over lies below, darker and without marks: the run that is shown stays in sight where both meet.
    below_first = sorted(shown, key=lambda item: item.line.timeline is None)
    for item in below_first:
        has_markers = len(item.points) <= NUM_MARKED and not options.has_trend and item.line.timeline is None
        canvas.add(dots(item.points, item.line.dash, has_markers=has_markers), _raw_style(item.line))
    for item in below_first:
        if item.trend is not None:
            style = f"bright {item.line.color}" if item.line.timeline is None else item.line.color
            canvas.add(dots(item.trend, item.line.dash, has_markers=False), style)
    for item in shown:
        if item.line.tag:
            _draw_tag(canvas, item, horizontal, values)


def _draw_tag(canvas: _Canvas, item: _Shown, horizontal: Horizontal, values: Axis) -> None:
    """Write the letter of a curve where the last of it is seen, or above or below where another letter stands."""
    points = item.trend if item.trend is not None else item.points
    columns = np.rint(horizontal.place(points.x)) // braille.CELL_COLUMNS
    rows = np.rint(_from_top(values, canvas.shape[0], points.mean)) // braille.CELL_ROWS
    num_rows, num_columns = canvas.codes.shape
    seen = np.flatnonzero((columns >= 0) & (columns < num_columns) & (rows >= 0) & (rows < num_rows))
    if not len(seen):
        return
    row, column = int(rows[seen[-1]]), int(columns[seen[-1]])
    near = [each for each in (row, row - 1, row + 1, row - 2, row + 2) if 0 <= each < num_rows]
    free = next((each for each in near if not str(canvas.glyphs[each, column]).isalpha()), row)
    canvas.glyphs[free, column], canvas.styles[free, column] = item.line.tag, item.line.color


def _raw_style(line: ChartLine) -> str:
    return line.color if line.timeline is None else f"dim {line.color}"


def _dash(number: int) -> int:
    return number % len(DASHES)


def _dashed(dots: NDArray[np.bool_], pattern: Sequence[int]) -> NDArray[np.bool_]:
    if not pattern:
        return dots
    period = np.concatenate([np.full(length, index % 2 == 0) for index, length in enumerate(pattern)])
    masked: NDArray[np.bool_] = dots & np.resize(period, dots.shape[1])[None, :]
    return masked


def _draw_cursor(canvas: _Canvas, horizontal: Horizontal, view: View) -> None:
    if view.cursor is None:
        return
    column = _column(horizontal, view.cursor)
    if 0 <= column < canvas.codes.shape[1]:
        free = canvas.codes[:, column] == 0
        canvas.glyphs[free, column] = "│"
        canvas.styles[free, column] = "cursor"


def _column(horizontal: Horizontal, step: float) -> int:
    place = horizontal.place(np.array([step]))[0]
    return -1 if np.isnan(place) else int(np.floor(np.rint(place) / braille.CELL_COLUMNS))


def _foot(
    shown: Sequence[_Shown], horizontal: Horizontal, margin: int, options: ChartOptions, scene: Scene
) -> list[Row]:
    """The line under the plot with what happened, and the labels under it."""
    num_columns = horizontal.num_columns
    glyphs, styles = np.full(num_columns, "─"), np.full(num_columns, "axis", dtype=object)
    name = options.x_name or scene.view.x_axis
    text = [" "] * (num_columns + margin + 1)
    text[: len(name)] = name
    free_from = len(name) + 1
    for mark, label in options.x_marks or _x_marks(horizontal):
        place = horizontal.axis.place(np.array([mark]), num_columns * braille.CELL_COLUMNS)[0]
        column = int(np.rint(place)) // braille.CELL_COLUMNS
        start = min(margin + 1 + column - len(label) // 2, len(text) - len(label))
        if start < free_from or not 0 <= column < num_columns:
            continue
        glyphs[column] = "┴"
        text[start : start + len(label)] = label
        free_from = start + len(label) + 1
    for item in shown:
        for column in _columns(horizontal, item.points.x[np.isnan(item.points.mean)]):
            glyphs[column], styles[column] = GAP, "alert"
    for kind in MARK_ORDER:
        steps = np.array([mark.step for mark in scene.marks if mark.kind == kind], dtype=np.float64)
        # The best checkpoint replaces the one before: only the last of them is still there.
        steps = steps[-1:] if kind == "best" else steps
        for column in _columns(horizontal, steps):
            glyphs[column], styles[column] = MARK_GLYPHS[kind], kind
    edge: Row = [(" " * margin + "└", "axis")]
    return [[*edge, *_spans(glyphs, styles)], [("".join(text), "axis")]]


def _columns(horizontal: Horizontal, steps: Floats) -> list[int]:
    columns = np.rint(horizontal.place(steps)) // braille.CELL_COLUMNS
    inside = columns[(columns >= 0) & (columns < horizontal.num_columns)]
    return [int(column) for column in np.unique(inside)]


def _x_marks(horizontal: Horizontal) -> list[tuple[float, str]]:
    most = max(3, horizontal.num_columns // 10)
    if horizontal.view.x_axis == "clock":
        times = clock_ticks(horizontal.axis, most)
        return list(zip(times, clock_labels(times), strict=True))
    marks = [mark for mark in ticks(horizontal.axis, most) if float(mark).is_integer()]
    return list(zip(marks, step_labels(marks), strict=True))
