"""The chart widget: keeps the curves it was last shown and redraws when they, its size or its options change."""

from collections.abc import Sequence
from dataclasses import replace

from rich.segment import Segment
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from claf_tui.charts.plot import ChartLine, ChartOptions, Row, plot

PALETTE = ("#56b4e9", "#e69f00", "#cc79a7", "#009e73", "#f0e442", "#d55e00", "#7f9cf5", "#b0b8c4")
"""Colours that people with any kind of colour vision can tell apart (Okabe and Ito)."""


class Chart(Widget):
    """Curves over optimiser steps, drawn in braille.

    Args:
        empty: what to say while there is nothing to draw.
        options: how the chart looks.
    """

    is_log: reactive[bool] = reactive(False)

    def __init__(self, empty: str, options: ChartOptions, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._empty = empty
        self._options = options
        self._lines: tuple[ChartLine, ...] = ()
        self._key: object = None
        self._strips: list[Strip] = []

    def show(self, lines: Sequence[ChartLine]) -> None:
        """Draw these curves from now on; costs nothing when none of them changed."""
        if tuple(lines) != self._lines:
            self._lines = tuple(lines)
            self.refresh()

    def show_empty(self, text: str) -> None:
        """Say this while there is nothing to draw."""
        if text != self._empty:
            self._empty = text
            self.refresh()

    def show_percent(self, *, is_percent: bool) -> None:
        """Take the values as fractions from now on, or as plain numbers."""
        if is_percent != self._options.is_percent:
            self._options = replace(self._options, is_percent=is_percent)
            self.refresh()

    def watch_is_log(self) -> None:
        """Redraw with the other kind of value axis."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Give one line of the drawing, which is made once per change."""
        background = self.background_colors[1]
        key = (self._lines, self.size, self.is_log, self._empty, self._options, background)
        if key != self._key:
            self._key = key
            self._strips = self._draw(background)
        width = self.size.width
        strip = self._strips[y] if y < len(self._strips) else Strip.blank(width)
        return strip.adjust_cell_length(width).apply_style(self.rich_style)

    def _draw(self, background: Color) -> list[Strip]:
        width, height = self.size
        rows = plot(self._lines, width, height, replace(self._options, is_log=self.is_log))
        if not rows:
            rows = _centred(self._empty, width, height)
        foreground = self.styles.color if self.styles.has_rule("color") else self._inherited_color()
        styles = {name: _style(name, foreground, background) for row in rows for _, name in row}
        return [Strip([Segment(text, styles[name]) for text, name in row]) for row in rows]

    def _inherited_color(self) -> Color:
        return self.visual_style.foreground or Color(200, 200, 200)


def robust_color(index: int) -> str:
    """The colour of the robust curve number `index`, the same in charts, tables and lines."""
    return PALETTE[1 + index % (len(PALETTE) - 1)]


def _style(name: str, foreground: Color, background: Color) -> Style:
    shades = {"text": 0.0, "axis": 0.4, "grid": 0.8}
    if name in shades:
        color = foreground.blend(background, shades[name], 1)
    else:
        dim, _, hue = name.rpartition(" ")
        try:
            color = Color.parse(hue)
        except ColorParseError:
            color = foreground
        if dim:
            color = color.blend(background, 0.62)
    return Style(color=color.rich_color)


def _centred(text: str, width: int, height: int) -> list[Row]:
    row: Row = [(text[:width].center(width), "axis")]
    return [[] for _ in range(max(0, (height - 1) // 2))] + [row]
