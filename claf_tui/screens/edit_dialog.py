"""The form for values that may change while the run goes on."""

from collections.abc import Iterator, Mapping

from textual.widget import Widget
from textual.widgets import Input, Label

from claf_engine.events.control import LEARNING_RATE, PROBE_EVERY
from claf_tui.screens.form_dialog import FormScreen
from claf_tui.words import figures
from claf_tui.words.live_values import parse_learning_rate, parse_probe_interval


class EditScreen(FormScreen[Mapping[str, float]]):
    """Ends with the changed values by name, or with None."""

    HEADING = "edit while running"

    def __init__(self, learning_rate: float | None, probe_every: float | None) -> None:
        super().__init__()
        self._learning_rate = learning_rate
        self._probe_every = probe_every

    def fields(self) -> Iterator[Widget]:
        """Lay out a field for each live value."""
        every = "unknown" if self._probe_every is None else f"{self._probe_every:.0f}"
        yield Label(f"learning rate of this phase (now {figures.figure(self._learning_rate)})", markup=False)
        yield Input(placeholder="empty: leave as it is", id="learning-rate", compact=True)
        yield Label(f"epochs between probes (now {every}; 0 never probes)", markup=False)
        yield Input(placeholder="empty: leave as it is", id="probe-every", compact=True)

    def read(self) -> Mapping[str, float]:
        """The values that are to change.

        Raises:
            ValueError: with a sentence for the form.
        """
        values = {
            LEARNING_RATE: parse_learning_rate(self.query_one("#learning-rate", Input).value),
            PROBE_EVERY: parse_probe_interval(self.query_one("#probe-every", Input).value),
        }
        return {name: value for name, value in values.items() if value is not None}
