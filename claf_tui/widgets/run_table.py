"""The list of runs: of any length, because only the rows that are seen are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from claf_engine.runs.overview import Overview
from claf_tui.state.run_order import Order
from claf_tui.widgets.keys import named
from claf_tui.widgets.run_rows import RowLook, column_at, heading, row, row_columns

MAX_DRAWN = 500
"""Rows whose drawing is kept."""


@dataclass(frozen=True)
class _Drawn:
    """A row as it was drawn, and what it was drawn from."""

    run: Overview
    drawn_as: tuple[object, ...]
    strip: Strip


class RunHead(Widget):
    """The headings; a click sorts by a column."""

    class Clicked(Message):
        """A person clicked on the heading of a column that can be sorted by."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._order = Order()

    def show(self, order: Order) -> None:
        """Show which column is sorted by."""
        if order != self._order:
            self._order = order
            self.refresh()

    def render(self) -> Content:
        """Draw the line."""
        return heading(row_columns(self.size.width), self._order)

    def on_click(self, event: events.Click) -> None:
        """Tell which column was clicked."""
        column = column_at(row_columns(self.size.width), event.x)
        if column is not None:
            self.post_message(self.Clicked(column))


class RunTable(ScrollView, can_focus=True):
    """Rows with a cursor that stays with its run, whatever the order."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"run-table--chosen"}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False, id="up"),
        Binding("down,j", "move(1)", show=False, id="down"),
        Binding("pageup", "page(-1)", show=False, id="page-up"),
        Binding("pagedown", "page(1)", show=False, id="page-down"),
        Binding("home,g", "move(-100000000)", show=False, id="first"),
        Binding("end,G", "move(100000000)", show=False, id="last"),
        Binding("enter", "open", "open the run"),
    ]
    BINDINGS = named("runs", BINDINGS)

    class Chosen(Message):
        """Another run is under the cursor, or none."""

    class Opened(Message):
        """A person wants to see the run under the cursor."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._runs: Sequence[Overview] = ()
        self._places: dict[str, int] = {}
        self._place = 0
        self._marked: frozenset[str] = frozenset()
        self._silent: frozenset[str] = frozenset()
        self._look = RowLook()
        self._drawn: dict[str, _Drawn] = {}

    @property
    def chosen(self) -> Overview | None:
        """The run under the cursor."""
        return self._runs[self._place] if self._place < len(self._runs) else None

    @property
    def seen(self) -> tuple[str, ...]:
        """Names of the runs that are on the screen."""
        top = self.scroll_offset.y
        return tuple(run.name for run in self._runs[top : top + self.size.height])

    def show(
        self, runs: Sequence[Overview], marked: frozenset[str], chosen: str | None = None, *, is_anew: bool = False
    ) -> None:
        """Show these runs from now on.

        Args:
            runs: in their order.
            marked: names of those with a mark.
            chosen: name of the one under the cursor; None keeps the one that is there.
            is_anew: whether the cursor goes to the first where its run is not among them, else it keeps its place.
        """
        before = self.chosen
        name = chosen if chosen is not None else before.name if before is not None else None
        self._runs, self._marked = runs, marked
        self._places = {run.name: place for place, run in enumerate(runs)}
        place = 0 if is_anew or name is None else min(self._place, max(0, len(runs) - 1))
        self._place = place if name is None else self._places.get(name, place)
        self.virtual_size = Size(self.size.width, len(runs))
        self.refresh()
        self._follow()
        if self.chosen is None or before is None or self.chosen.name != before.name:
            self.post_message(self.Chosen())

    def show_silent(self, names: frozenset[str]) -> None:
        """Show which runs give no sign of life."""
        if names != self._silent:
            self._silent = names
            self.refresh()

    def tick(self, now: float, frame: int) -> None:
        """Let what moves move: the rows of live runs, and all of them once a minute for their age."""
        before, self._look = self._look, RowLook(now, frame)
        if int(before.now // 60) != int(now // 60):
            self.refresh()
            return
        top = self.scroll_offset.y
        live = [y for y, run in enumerate(self._runs[top : top + self.size.height]) if run.is_live]
        if live and before.frame != frame:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in live))

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self._go_to(self._place + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._go_to(self._place + pages * max(1, self.size.height - 1))

    def action_open(self) -> None:
        """Ask for the run under the cursor to be opened."""
        if self.chosen is not None:
            self.post_message(self.Opened())

    def on_resize(self) -> None:
        """Draw for the new width."""
        self.virtual_size = Size(self.size.width, len(self._runs))
        self._drawn.clear()
        self._follow()

    def on_click(self, event: events.Click) -> None:
        """Choose the run that was clicked; a double click opens it."""
        place = self.scroll_offset.y + event.y
        if place < len(self._runs):
            self._go_to(place)
            if event.chain == 2:
                self.action_open()

    def render_line(self, y: int) -> Strip:
        """Draw one row, if it was not drawn like this before."""
        place, width = self.scroll_offset.y + y, self.size.width
        if place >= len(self._runs):
            return Strip.blank(width, self.rich_style)
        run = self._runs[place]
        is_marked, is_chosen, is_silent = run.name in self._marked, place == self._place, run.name in self._silent
        frame, minute = self._look.frame if run.is_live else 0, int(self._look.now // 60)
        drawn_as = (width, minute, frame, is_marked, is_chosen, is_silent, self.has_focus, self.app.theme)
        drawn = self._drawn.get(run.name)
        if drawn is None or drawn.run is not run or drawn.drawn_as != drawn_as:
            strip = self._draw(run, is_marked=is_marked, is_chosen=is_chosen)
            drawn = self._drawn[run.name] = _Drawn(run, drawn_as, strip)
        return drawn.strip

    def _go_to(self, place: int) -> None:
        """Put the cursor into a row, as far as there are rows."""
        place = min(max(0, place), max(0, len(self._runs) - 1))
        if place != self._place:
            self._place = place
            self._follow()
            self.refresh()
            self.post_message(self.Chosen())

    def _follow(self) -> None:
        """Scroll so that the cursor is seen."""
        top, height = self.scroll_offset.y, self.size.height
        if len(self._drawn) > MAX_DRAWN:
            self._drawn.clear()
        if height and not top <= self._place < top + height:
            y = self._place if self._place < top else self._place - height + 1
            self.scroll_to(y=y, animate=False, force=True, immediate=True)

    def _draw(self, run: Overview, *, is_marked: bool, is_chosen: bool) -> Strip:
        width = self.size.width
        look = RowLook(self._look.now, self._look.frame, is_marked, run.name in self._silent)
        content = row(run, row_columns(width), look)
        style = self.get_visual_style("run-table--chosen") if is_chosen else self.visual_style
        rendered = content.render(style, end="", parse_style=self.app.stylesheet.parse_style)
        strip = Strip([Segment(text, part.rich_style) for text, part in rendered])
        return strip.adjust_cell_length(width, style.rich_style)
