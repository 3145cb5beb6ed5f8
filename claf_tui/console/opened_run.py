"""A run that was opened from the list of runs: the console of `claf-tui watch`, from which escape leads back."""

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from claf_engine.config.alerts import AlertSettings
from claf_engine.events.control import Control
from claf_tui.console.bridge import Engine
from claf_tui.console.remote import Remote
from claf_tui.console.train_app import TrainingApp
from claf_tui.screens.dashboard import Dashboard
from claf_tui.screens.opened_board import OpenedBoard
from claf_tui.screens.steering import Steering


class OpenedRun(TrainingApp):
    """Shows a run of another process, or one that has ended.

    Args:
        engine, control, read_only, log_file, remote, why_not, alerts: see `TrainingApp`.
        others: folders of runs whose curves are laid over.
    """

    def __init__(  # noqa: PLR0913 (those of a console, and what is laid over)
        self,
        engine: Engine,
        control: Control,
        *,
        read_only: bool = True,
        log_file: TextIO | None = None,
        remote: Remote | None = None,
        why_not: str = "",
        alerts: AlertSettings | None = None,
        others: Sequence[Path] = (),
    ) -> None:
        self._others = tuple(others)
        super().__init__(
            engine, control, read_only=read_only, log_file=log_file, remote=remote, why_not=why_not, alerts=alerts
        )

    def make_board(self, steering: Steering | None) -> Dashboard:
        """The dashboard, with a way back and the curves of other runs."""
        return OpenedBoard(
            steering, self._others, read_only=self.read_only, why_not=self._why_not, is_loud=self._alerts.bell
        )
