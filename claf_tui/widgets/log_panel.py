"""The log: notices, phases, checkpoints and probes, newest last."""

import textwrap

from rich.text import Text
from textual.events import Resize
from textual.widgets import RichLog

from claf_tui.state import MAX_LOG_LINES, LogLine, RunState
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

LEVEL_STYLES = {"info": "", "warning": "yellow", "error": "bold red"}
LEVEL_GLYPHS = {"info": "·", "warning": "!", "error": "✘"}


class LogPanel(RichLog, can_focus=False):
    """Appends what is new in the state's log; never reads a line as markup."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, max_lines=MAX_LOG_LINES * 3, wrap=True, markup=False, highlight=False, min_width=0)
        self._lines: tuple[LogLine, ...] = ()
        self._num_written = 0
        self._wrapped_at = 0

    def show(self, state: RunState) -> None:
        """Write the lines that came since the last call."""
        self._lines = state.log
        num_new = min(state.num_log_lines - self._num_written, len(state.log))
        self._write_lines(state.log[len(state.log) - num_new :] if num_new > 0 else ())
        self._num_written = state.num_log_lines

    def on_resize(self, _: Resize) -> None:
        """Wrap all lines anew."""
        width = self.scrollable_content_region.width
        if width != self._wrapped_at:
            self._wrapped_at = width
            self.clear()
            self._write_lines(self._lines)

    def _write_lines(self, lines: tuple[LogLine, ...]) -> None:
        for line in lines if self._wrapped_at else ():
            self.write(log_text(line, self._wrapped_at))


def log_text(line: LogLine, width: int) -> Text:
    """Write one log line: the run's clock, a glyph for the level, the text; further rows hang under the text."""
    style = LEVEL_STYLES.get(line.level, "")
    text = Text(f"{figures.duration(line.elapsed):>8} ", style="dim")
    rows = textwrap.wrap(safe(line.text, 400), max(12, width - len(text) - 2)) or [""]
    text.append(f"{LEVEL_GLYPHS.get(line.level, '·')} {rows[0]}", style=style)
    for row in rows[1:]:
        text.append(f"\n{'':>11}{row}", style=style)
    return text
