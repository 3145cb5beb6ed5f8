"""The chart widget: keeps the curves it was last shown and redraws when they, its size or its options change."""

import os
from collections.abc import Sequence
from dataclasses import replace

from rich.segment import Segment
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.events import MouseDown, MouseMove, MouseScrollDown, MouseScrollUp, MouseUp
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from claf_tui.charts.plot import ChartLine, ChartOptions, Drawing, Row, Scene, plot
from claf_tui.charts.view import ZOOM
from claf_tui.words.run_colors import RUN_COLORS

PALETTE = RUN_COLORS


class Chart(Widget):
    """Curves over optimiser steps, drawn in braille; a click looks at a step, the wheel zooms, dragging pans.

    Args:
        empty: what to say while there is nothing to draw.
        options: how the chart looks.
    """

    is_log: reactive[bool] = reactive(False)

    class Pointed(Message):
        """A person clicked on a step."""

        def __init__(self, step: float) -> None:
            super().__init__()
            self.step = step

    class Zoomed(Message):
        """A person turned the wheel over a step: nearer by a factor above 1, or further away by one below."""

        def __init__(self, step: float, factor: float) -> None:
            super().__init__()
            self.step, self.factor = step, factor

    class Dragged(Message):
        """A person dragged what is shown by a share of its width, to the right if positive."""

        def __init__(self, share: float) -> None:
            super().__init__()
            self.share = share

    def __init__(self, empty: str, options: ChartOptions, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._empty = empty
        self._options = replace(options, is_colourless="NO_COLOR" in os.environ)
        self._lines: tuple[ChartLine, ...] = ()
        self._scene = Scene()
        self._key: object = None
        self._version = 0
        self._blank = Strip([])
        self._drawing = Drawing([])
        self._strips: list[Strip] = []
        self._styles: dict[tuple[str, Color, Color], Style] = {}
        self._drag: int | None = None
        self._has_dragged = False

    def show(self, lines: Sequence[ChartLine], scene: Scene | None = None) -> None:
        """Draw these curves from now on; costs nothing when none of them changed."""
        scene = scene or self._scene
        if tuple(lines) != self._lines or scene != self._scene:
            self._lines, self._scene = tuple(lines), scene
            self._redraw()

    def show_empty(self, text: str) -> None:
        """Say this while there is nothing to draw."""
        if text != self._empty:
            self._empty = text
            self._redraw()

    def show_percent(self, *, is_percent: bool) -> None:
        """Take the values as fractions from now on, or as plain numbers."""
        if is_percent != self._options.is_percent:
            self._options = replace(self._options, is_percent=is_percent)
            self._redraw()

    def show_x_name(self, name: str) -> None:
        """Call what lies on the horizontal axis so from now on; an empty name is what the view counts."""
        if name != self._options.x_name:
            self._options = replace(self._options, x_name=name)
            self._redraw()

    @property
    def num_columns(self) -> int:
        """Cells that the plot itself is wide, once it was drawn."""
        horizontal = self._drawing.horizontal
        return horizontal.num_columns if horizontal is not None else max(1, self.size.width)

    @property
    def num_points(self) -> int:
        """Points of all its curves, in view or not."""
        return sum(len(line.curve.arrays) for line in self._lines)

    def watch_is_log(self) -> None:
        """Redraw with the other kind of value axis."""
        self._redraw()

    def on_mouse_down(self, event: MouseDown) -> None:
        """Begin to drag."""
        self._drag, self._has_dragged = event.x, False
        self.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Pan while the button is down; it may have been let go where nobody told of it."""
        if self._drag is not None and not event.button:
            self.capture_mouse(False)
            self._drag = None
        if self._drag is not None and event.x != self._drag:
            self.post_message(self.Dragged((self._drag - event.x) / self.num_columns))
            self._drag, self._has_dragged = event.x, True

    def on_mouse_up(self, event: MouseUp) -> None:
        """Look at a step, unless the mouse was dragged."""
        self.capture_mouse(False)
        if self._drag is not None and not self._has_dragged and (step := self._step_at(event.x)) is not None:
            self.post_message(self.Pointed(step))
        self._drag = None

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Zoom in."""
        self._turn(event, ZOOM)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Zoom out."""
        self._turn(event, 1 / ZOOM)

    def notify_style_update(self) -> None:
        """Draw with other colours."""
        super().notify_style_update()
        self._version += 1

    def render_line(self, y: int) -> Strip:
        """Give one line of the drawing, made once per change: to ask for colours takes longer than a line."""
        key = (self._version, self.size, self.app.theme)
        if key != self._key:
            self._key = key
            width, style = self.size.width, self.rich_style
            strips = self._draw(self.background_colors[1])
            self._strips = [strip.adjust_cell_length(width).apply_style(style) for strip in strips]
            self._blank = Strip.blank(width).apply_style(style)
        return self._strips[y] if y < len(self._strips) else self._blank

    def _redraw(self) -> None:
        self._version += 1
        self.refresh()

    def _draw(self, background: Color) -> list[Strip]:
        width, height = self.size
        options = replace(self._options, is_log=self.is_log)
        self._drawing = plot(self._lines, width, height, options, self._scene)
        rows = self._drawing.rows or _centred(self._empty, width, height)
        foreground = self.styles.color if self.styles.has_rule("color") else self._inherited_color()
        for row in rows:
            for _, name in row:
                if (name, foreground, background) not in self._styles:
                    self._styles[name, foreground, background] = _style(name, foreground, background)
        styles = self._styles
        return [Strip([Segment(text, styles[name, foreground, background]) for text, name in row]) for row in rows]

    def _step_at(self, x: int) -> float | None:
        """The step under a column of the widget, where there is a plot."""
        horizontal = self._drawing.horizontal
        column = x - self._drawing.left
        if horizontal is None or not 0 <= column < horizontal.num_columns:
            return None
        return horizontal.step_at(column)

    def _turn(self, event: MouseScrollUp | MouseScrollDown, factor: float) -> None:
        if (step := self._step_at(event.x)) is not None:
            event.stop()
            self.post_message(self.Zoomed(step, factor))

    def _inherited_color(self) -> Color:
        return self.visual_style.foreground or Color(200, 200, 200)


def robust_color(index: int) -> str:
    """The colour of the robust curve number `index`, the same in charts, tables and lines."""
    return PALETTE[1 + index % (len(PALETTE) - 1)]


def _style(name: str, foreground: Color, background: Color) -> Style:
    shades = {"text": 0.0, "cursor": 0.0, "axis": 0.4, "phase": 0.2, "edit": 0.0, "grid": 0.78}
    hues = {"best": PALETTE[4], "alert": PALETTE[5]}
    if name in shades:
        color = foreground.blend(background, shades[name], 1)
    else:
        kind, _, hue = hues.get(name, name).rpartition(" ")
        try:
            color = Color.parse(hue)
        except ColorParseError:
            color = foreground
        if kind == "bright":
            color = color.blend(foreground, 0.6)
        elif kind == "dim":
            color = color.blend(background, 0.4)
    return Style(color=color.rich_color, bold=name in hues or None)


def _centred(text: str, width: int, height: int) -> list[Row]:
    row: Row = [(text[:width].center(width), "axis")]
    return [[] for _ in range(max(0, (height - 1) // 2))] + [row]
