"""The dashboard of a run that was opened from the list of runs."""

from collections.abc import Sequence
from pathlib import Path

from claf_tui.screens.dashboard import Dashboard
from claf_tui.screens.steering import Steering
from claf_tui.widgets.key_bar import Hint


class OpenedBoard(Dashboard):
    """Leads back to the list with escape, and begins with the curves of other runs over its own.

    Args:
        steering, read_only, why_not, is_loud: see `Dashboard`.
        others: folders of those runs.
    """

    def __init__(
        self,
        steering: Steering | None,
        others: Sequence[Path] = (),
        *,
        read_only: bool = True,
        why_not: str = "",
        is_loud: bool = True,
    ) -> None:
        super().__init__(steering, read_only=read_only, why_not=why_not, is_loud=is_loud)
        self._laid_over = tuple(others)

    def on_mount(self) -> None:
        """Begin to read the other runs."""
        if self._laid_over:
            self.lay_over(self._laid_over)

    def hints(self) -> list[Hint]:
        """Name the way back first."""
        return [("esc", "runs", "screen.restore"), *super().hints()]

    def action_restore(self) -> None:
        """Take back cursor, full screen or zoom, or lead back when there is none of them."""
        if self.has_more_to_restore:
            super().action_restore()
        else:
            self.call_later(self.app.run_action, "app.quit")
