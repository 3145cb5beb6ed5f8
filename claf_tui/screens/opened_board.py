"""The dashboard of a run that was opened from the list of runs."""

from claf_tui.screens.dashboard import Dashboard
from claf_tui.widgets.key_bar import Hint


class OpenedBoard(Dashboard):
    """Leads back to the list with escape."""

    def hints(self) -> list[Hint]:
        """Name the way back first."""
        return [("esc", "runs", "screen.restore"), *super().hints()]

    def action_restore(self) -> None:
        """Take back cursor, full screen or zoom, or lead back when there is none of them."""
        if self.has_more_to_restore:
            super().action_restore()
        else:
            self.call_later(self.app.run_action, "app.quit")
