"""A chart of curves as inline SVG, whose colours a style sheet gives for light and dark. Pure.

The numbers are those that the console draws: means with the range that they span, gaps where a value is not finite.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from claf_tui.charts.axis import Axis, clock_labels, clock_ticks, labels, step_labels, ticks, value_axis
from claf_tui.reports.html import Markup, joined, tag
from claf_tui.state.points import Floats, Points, gathered, without_extremes
from claf_tui.words import figures

WIDTH, HEIGHT = 720, 270
LEFT, RIGHT, TOP, BOTTOM = 52, 30, 14, 34
MAX_POINTS = 360
"""Of one curve: about one for two pixels."""
NUM_MARKED = 32
"""A curve with at most this many points shows each of them."""
LOG_SPAN = 100.0
"""Values whose largest is so many times the smallest are drawn on a logarithmic axis."""
DASHES = ("", "7 3", "2 3", "9 3 2 3")
MARKS = {"phase": "┃", "edit": "✎", "best": "★", "alert": "⚠"}


@dataclass(frozen=True, eq=False)
class SvgCurve:
    """One curve: `number` gives its colour and dashes, `tag` is written at its end, `name` stands in the legend."""

    name: str
    number: int
    points: Points
    tag: str = ""


@dataclass(frozen=True)
class SvgMark:
    """Something that happened at a place of the horizontal axis: see `MARKS`."""

    x: float
    kind: str
    text: str


@dataclass(frozen=True)
class SvgChart:
    """What is drawn.

    Attributes:
        title: read out to who cannot see it.
        x_title: what the horizontal axis counts; `is_clock` says that these are seconds.
        is_percent: values are shares in [0, 1], and all of that is shown.
    """

    title: str
    curves: tuple[SvgCurve, ...]
    x_title: str = "optimiser steps"
    is_clock: bool = False
    is_percent: bool = False
    marks: tuple[SvgMark, ...] = ()


@dataclass(frozen=True)
class _Frame:
    x: Axis
    y: Axis

    def across(self, values: Floats) -> Floats:
        """Pixels from the left."""
        return LEFT + self.x.place(values, WIDTH - LEFT - RIGHT + 1)

    def down(self, values: Floats) -> Floats:
        """Pixels from the top."""
        height = HEIGHT - TOP - BOTTOM
        return TOP + height - self.y.place(values, height + 1)


def chart_svg(chart: SvgChart) -> Markup:
    """Draw a chart; nothing where no curve has a point."""
    drawn = [curve for curve in chart.curves if len(curve.points)]
    if not drawn:
        return Markup("")
    is_log = not chart.is_percent and _is_wide(drawn)
    shown = [_shown(curve, is_log=is_log) for curve in drawn]
    frame = _frame(shown, chart, is_log=is_log)
    body = joined(*_grid(frame, chart), *_marks(frame, chart), *itertools.chain(*(_curve(frame, c) for c in shown)))
    title = f"{chart.title}{', logarithmic' if is_log else ''}"
    return tag("svg", tag("title", title), body, viewBox=f"0 0 {WIDTH} {HEIGHT}", class_="chart", role="img")


def legend(curves: Sequence[SvgCurve], *, is_percent: bool = False) -> Markup:
    """Name each curve with its sample and its last value; curves of one name once."""
    named = {curve.name: curve for curve in curves if len(curve.points)}
    items = []
    for curve in named.values():
        last = float(curve.points.mean[-1])
        value = figures.percent(last) if is_percent else figures.figure(last)
        sample = tag(
            "svg",
            tag("line", x1=0, x2=26, y1=5, y2=5, class_=_stroke(curve), stroke_dasharray=_dash(curve)),
            viewBox="0 0 26 10",
            class_="sample",
        )
        items.append(tag("span", sample, f" {curve.name} ", tag("b", value), class_="key"))
    return tag("div", *items, class_="legend")


def _is_wide(curves: Sequence[SvgCurve]) -> bool:
    values = np.concatenate([curve.points.mean for curve in curves])
    finite = values[np.isfinite(values)]
    return bool(len(finite)) and float(finite.min()) > 0 and float(finite.max()) > LOG_SPAN * float(finite.min())


def _shown(curve: SvgCurve, *, is_log: bool) -> SvgCurve:
    points = without_extremes(gathered(curve.points, MAX_POINTS), is_log=is_log)
    return SvgCurve(curve.name, curve.number, points, curve.tag)


def _frame(curves: Sequence[SvgCurve], chart: SvgChart, *, is_log: bool) -> _Frame:
    first = min(0.0, *(float(curve.points.x[0]) for curve in curves))
    last = max(float(curve.points.x[-1]) for curve in curves)
    values = [array for curve in curves for array in (curve.points.low, curve.points.high)]
    include = (0.0, 1.0) if chart.is_percent else None
    return _Frame(Axis(first, last if last > first else first + 1), value_axis(values, include=include, is_log=is_log))


def _grid(frame: _Frame, chart: SvgChart) -> Iterator[Markup]:
    marks = ticks(frame.y, 6)
    for value, name in zip(marks, labels(marks, is_percent=chart.is_percent), strict=True):
        y = _number(float(frame.down(np.array([value]))[0]))
        yield tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid")
        yield tag("text", name, x=LEFT - 7, y=_number(float(y) + 4), class_="tick end")
    places = clock_ticks(frame.x, 8) if chart.is_clock else ticks(frame.x, 8)
    names = clock_labels(places) if chart.is_clock else step_labels(places)
    for value, name in zip(places, names, strict=True):
        x = _number(float(frame.across(np.array([value]))[0]))
        yield tag("text", name, x=x, y=HEIGHT - BOTTOM + 16, class_="tick middle")
    yield tag("text", chart.x_title, x=WIDTH - RIGHT, y=HEIGHT - 3, class_="tick end")
    yield tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=HEIGHT - BOTTOM, y2=HEIGHT - BOTTOM, class_="axis")


def _marks(frame: _Frame, chart: SvgChart) -> Iterator[Markup]:
    for mark in chart.marks:
        if frame.x.low <= mark.x <= frame.x.high:
            x = _number(float(frame.across(np.array([mark.x]))[0]))
            line = tag("line", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM, class_=f"mark {mark.kind}")
            glyph = tag("text", MARKS.get(mark.kind, "·"), x=x, y=TOP - 3, class_=f"tick middle {mark.kind}")
            yield tag("g", tag("title", mark.text), line, glyph)


def _curve(frame: _Frame, curve: SvgCurve) -> Iterator[Markup]:
    points, style = curve.points, _stroke(curve)
    x, middle = frame.across(points.x), frame.down(points.mean)
    low, high = frame.down(points.low), frame.down(points.high)
    for part in _parts(middle):
        if _spans(low[part], high[part]):
            edge = [*zip(x[part], high[part], strict=True), *zip(x[part][::-1], low[part][::-1], strict=True)]
            yield tag("polygon", points=_path(edge), class_=f"range fill{curve.number}")
        if part.stop - part.start > 1:
            line = _path(zip(x[part], middle[part], strict=True))
            yield tag("polyline", points=line, class_=style, stroke_dasharray=_dash(curve))
    is_marked = len(points) <= NUM_MARKED
    alone = {part.start for part in _parts(middle) if part.stop - part.start == 1}
    for place in range(len(points)):
        if math.isfinite(middle[place]) and (is_marked or place in alone):
            told = (
                f"{curve.name}: {figures.figure(float(points.mean[place]))} at {figures.short_count(points.x[place])}"
            )
            cx, cy = _number(float(x[place])), _number(float(middle[place]))
            yield tag("g", tag("title", told), tag("circle", cx=cx, cy=cy, r=2.6, class_=f"fill{curve.number}"))
    for place in np.flatnonzero(~np.isfinite(points.mean))[:MAX_POINTS]:
        cross = tag("text", "╳", x=_number(float(x[place])), y=HEIGHT - BOTTOM + 4, class_="tick middle alert")
        yield tag("g", tag("title", f"{curve.name}: not finite"), cross)
    known = np.flatnonzero(np.isfinite(middle))
    if curve.tag and len(known):
        last = known[-1]
        at = {"x": _number(float(x[last]) + 6), "y": _number(float(middle[last]) + 4)}
        yield tag("text", curve.tag, class_=f"tag text{curve.number}", **at)


def _parts(values: Floats) -> list[slice]:
    """The stretches of a curve without a gap."""
    known = np.isfinite(values).astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], known, [0]])))
    return [slice(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def _spans(low: Floats, high: Floats) -> bool:
    return len(low) > 1 and bool(np.isfinite(low).all() and np.isfinite(high).all()) and float((low - high).max()) > 1


def _stroke(curve: SvgCurve) -> str:
    return f"line stroke{curve.number}"


def _dash(curve: SvgCurve) -> str | None:
    return DASHES[curve.number % len(DASHES)] or None


def _path(places: Iterable[tuple[float, float]]) -> Markup:
    return Markup(" ".join(f"{_number(float(x))},{_number(float(y))}" for x, y in places))


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
