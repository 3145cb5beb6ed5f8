"""What alerts there were and who changed what: the history of a run."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Static

from claf_tui.screens.scroll_keys import SCROLL_KEYS
from claf_tui.state import RunState
from claf_tui.widgets.history_lines import history_lines
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.keys import named

HINTS: tuple[Hint, ...] = (
    ("↑↓", "scroll", "screen.scroll(3)"),
    ("?", "help", "app.help"),
    ("escape", "back", "app.pop_screen"),
)


class HistoryScreen(Screen[None]):
    """Draws the history of a run; whoever opened it shows it every new state."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,A", "app.pop_screen", "back", id="back"), *SCROLL_KEYS]
    BINDINGS = named("history", BINDINGS)

    def __init__(self, state: RunState) -> None:
        super().__init__()
        self._state = state

    def compose(self) -> ComposeResult:
        """Lay out the lines."""
        with VerticalScroll(id="history-panel", classes="panel", can_focus=False) as panel:
            panel.border_title = Content.styled("alerts and edits", "$foreground")
            yield Static(id="history")
        yield KeyBar(HINTS, id="keys")

    def show(self, state: RunState) -> None:
        """Show this history from now on."""
        if state.history != self._state.history:
            self._state = state
            self._draw()

    def on_resize(self, _: Resize) -> None:
        """Wrap the lines anew."""
        self.call_after_refresh(self._draw)

    def action_scroll(self, lines: int) -> None:
        """Scroll the history."""
        self.query_one("#history-panel").scroll_relative(y=lines, animate=False)

    def _draw(self) -> None:
        width = self.query_one("#history-panel").scrollable_content_region.width
        lines = history_lines(self._state.history, max(1, width - 1))
        self.query_one("#history", Static).update(Content("\n").join(lines))
