"""The dashboard of one run among several: a look at it, from which escape leads back."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from claf_tui.screens.dashboard import Dashboard
from claf_tui.widgets.key_bar import Hint
from claf_tui.widgets.keys import named


class RunBoard(Dashboard):
    """The dashboard of the current run of a reproduction; to stop it is to stop the whole."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("d", "app.pop_screen", "back to the table", id="back")]
    BINDINGS = named("run-board", BINDINGS)

    def hints(self) -> list[Hint]:
        """Name the way back first."""
        return [("esc", "table", "screen.restore"), *super().hints()]

    def action_restore(self) -> None:
        """Take back cursor, full screen or zoom, or lead back when there is none of them."""
        if self.has_more_to_restore:
            super().action_restore()
        else:
            self.app.pop_screen()

    def action_stop(self) -> None:
        """Ask whether to stop the whole."""
        self.call_later(self.app.run_action, "app.quit")
