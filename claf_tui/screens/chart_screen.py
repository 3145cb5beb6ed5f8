"""What screens with charts share: one view of all charts, and how keys, wheel and mouse change it."""

from dataclasses import replace

from textual import on
from textual.binding import Binding
from textual.screen import Screen

from claf_tui.charts.view import (
    ZOOM,
    Extent,
    View,
    followed,
    moved_cursor,
    panned,
    reset,
    smoothed,
    with_cursor,
    zoomed,
)
from claf_tui.widgets.chart import Chart

PAN = 0.25
"""The share of what is shown by which a key moves it."""
FAST = 10
"""Columns by which the cursor moves with shift."""
CHART_KEYS = (
    Binding("left", "cursor(-1)", "cursor left", id="cursor-left"),
    Binding("right", "cursor(1)", "cursor right", id="cursor-right"),
    Binding("shift+left", f"cursor(-{FAST})", show=False, id="cursor-left-fast"),
    Binding("shift+right", f"cursor({FAST})", show=False, id="cursor-right-fast"),
    Binding("left_square_bracket", "pan(-1)", "earlier", id="earlier"),
    Binding("right_square_bracket", "pan(1)", "later", id="later"),
    Binding("0", "reset_view", "all of the run"),
    Binding("end", "follow", "follow the newest step"),
    Binding("L", "x_log", "logarithmic horizontal axis"),
    Binding("plus,equals_sign", "smooth(1)", "smooth more", id="smooth-more"),
    Binding("minus", "smooth(-1)", "smooth less", id="smooth-less"),
    Binding("l", "log_scale", "logarithmic value axis"),
    Binding("o", "other_loss", "another loss"),
)
"""Keys of every such screen, for its `BINDINGS`."""


class ChartScreen(Screen[None]):
    """A screen whose charts show the same stretch of their horizontal axis, with one cursor."""

    def __init__(self) -> None:
        super().__init__()
        self._view = View()

    @property
    def view(self) -> View:
        """How the charts look at what they show."""
        return self._view

    @property
    def extent(self) -> Extent:
        """All of the horizontal axis that there is anything of."""
        raise NotImplementedError

    @property
    def chosen_chart(self) -> Chart:
        """The chart that keys are about."""
        raise NotImplementedError

    def show_charts(self) -> None:
        """Draw all charts by the view as it is."""
        raise NotImplementedError

    def action_other_loss(self) -> None:
        """Show the next of the losses."""
        raise NotImplementedError

    def look(self, view: View) -> None:
        """Show this from now on."""
        self._view = view
        self.show_charts()

    def action_cursor(self, num_columns: int = -1) -> None:
        """Move the cursor that all charts share."""
        self.look(moved_cursor(self._view, self.extent, num_columns, self.chosen_chart.num_columns))

    def action_zoom(self, direction: int = 1) -> None:
        """Show less of the axis, or more."""
        self.look(zoomed(self._view, self.extent, ZOOM if direction > 0 else 1 / ZOOM))

    def action_pan(self, direction: int) -> None:
        """Show what lies before, or after."""
        self.look(panned(self._view, self.extent, direction * PAN))

    def action_reset_view(self) -> None:
        """Show all of the axis."""
        self.look(reset(self._view))

    def action_follow(self) -> None:
        """Keep the newest step in view."""
        self.look(followed(self._view))

    def action_x_log(self) -> None:
        """Switch the horizontal axis between linear and logarithmic."""
        self.look(replace(self._view, is_x_log=not self._view.is_x_log))

    def action_log_scale(self) -> None:
        """Switch the value axis of the chosen chart between linear and logarithmic."""
        chart = self.chosen_chart
        chart.is_log = not chart.is_log
        self.show_charts()

    def action_smooth(self, change: int = 1) -> None:
        """Smooth the trend more, or less; at the end there is none."""
        self.look(smoothed(self._view, change))

    @on(Chart.Pointed)
    def look_at(self, event: Chart.Pointed) -> None:
        """Put the cursor where the mouse clicked."""
        self.look(with_cursor(self._view, self.extent, event.step))

    @on(Chart.Zoomed)
    def zoom_at(self, event: Chart.Zoomed) -> None:
        """Zoom about the place under the mouse, and leave the cursor where it is."""
        about = replace(self._view, cursor=event.step)
        self.look(replace(zoomed(about, self.extent, event.factor), cursor=self._view.cursor))

    @on(Chart.Dragged)
    def drag(self, event: Chart.Dragged) -> None:
        """Show what was dragged into view."""
        self.look(panned(self._view, self.extent, event.share))
