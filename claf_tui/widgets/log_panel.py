"""The log: notices, phases, checkpoints and probes, newest last. Only the rows that are on the screen are drawn."""

import textwrap
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from claf_tui.state import MAX_LOG_LINES, LogLine, RunState
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

LEVEL_STYLES = {"info": Style(), "warning": Style(color="yellow"), "error": Style(color="red", bold=True)}
LEVEL_GLYPHS = {"info": "·", "warning": "!", "error": "✘"}
DIM = Style(dim=True)
MAX_ROWS = MAX_LOG_LINES * 3
HANG = 11
"""Cells before the text of a line: the clock and the glyph."""


class Row(NamedTuple):
    """A row of the screen: the clock, which only the first of a line has, and the text."""

    clock: str
    text: str
    level: str


class LogPanel(ScrollView, can_focus=False):
    """Appends what is new in the state's log, and stays at the end unless somebody has scrolled up."""

    DEFAULT_CSS = "LogPanel { overflow-x: hidden; overflow-y: scroll; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: tuple[LogLine, ...] = ()
        self._rows: list[Row] = []
        self._num_written = 0
        self._wrapped_at = 0

    def show(self, state: RunState) -> None:
        """Write the lines that came since the last call."""
        num_new = min(state.num_log_lines - self._num_written, len(state.log))
        self._lines, self._num_written = state.log, state.num_log_lines
        if num_new > 0:
            self._append(state.log[len(state.log) - num_new :])

    def on_resize(self, _: Resize) -> None:
        """Wrap all lines anew."""
        width = self.scrollable_content_region.width
        if width != self._wrapped_at:
            self._wrapped_at = width
            self._rows.clear()
            self._append(self._lines)

    def render_line(self, y: int) -> Strip:
        """Draw one row."""
        width, number = self.scrollable_content_region.width, self.scroll_offset.y + y
        if number >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[number]
        strip = Strip([Segment(row.clock, DIM), Segment(row.text, LEVEL_STYLES.get(row.level, Style()))])
        return strip.crop_extend(0, width, None).apply_style(self.rich_style)

    def _append(self, lines: tuple[LogLine, ...]) -> None:
        if not self._wrapped_at:
            return
        was_at_end = self.is_vertical_scroll_end
        self._rows += [row for line in lines for row in log_rows(line, self._wrapped_at)]
        del self._rows[:-MAX_ROWS]
        self.virtual_size = Size(self._wrapped_at, len(self._rows))
        if was_at_end and not self.is_vertical_scrollbar_grabbed:
            self.scroll_end(animate=False, immediate=True, x_axis=False)
        self.refresh()


def log_rows(line: LogLine, width: int) -> list[Row]:
    """Write one log line: the run's clock, a glyph for the level, the text; further rows hang under the text."""
    room = max(12, width - HANG)
    text = safe(line.text, 400)
    first, *rest = (textwrap.wrap(text, room) or [""]) if len(text) > room else [text]
    clock = f"{figures.exact_duration(line.elapsed):>8} "
    glyph = LEVEL_GLYPHS.get(line.level, "·")
    return [Row(clock, f"{glyph} {first}", line.level), *(Row(" " * HANG, part, line.level) for part in rest)]
