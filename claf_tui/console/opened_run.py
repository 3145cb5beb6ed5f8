"""A run that was opened from the list of runs: the console of `claf-tui watch`, from which escape leads back."""

from claf_tui.console.train_app import TrainingApp
from claf_tui.screens.dashboard import Dashboard
from claf_tui.screens.opened_board import OpenedBoard
from claf_tui.screens.steering import Steering


class OpenedRun(TrainingApp):
    """Shows a run of another process, or one that has ended; see `TrainingApp`."""

    def make_board(self, steering: Steering | None) -> Dashboard:
        """The dashboard, with a way back."""
        return OpenedBoard(steering, read_only=self.read_only, why_not=self._why_not, is_loud=self._alerts.bell)
