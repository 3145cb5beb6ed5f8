"""The form for values that may change while the run goes on."""

import math
from collections.abc import Iterator, Mapping

from textual.widget import Widget
from textual.widgets import Input, Label

from claf_tui.screens.form_dialog import FormScreen
from claf_tui.words import figures

LEARNING_RATE = "learning_rate"
PROBE_EVERY = "probe.every_epochs"


def parse_learning_rate(text: str) -> float | None:
    """Read a learning rate; empty leaves it as it is.

    Raises:
        ValueError: with a sentence for the form.
    """
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"the learning rate must be a number such as 0.05, not {text.strip()[:20]!r}") from error
    if not math.isfinite(value) or not 0 < value <= 10:
        raise ValueError("the learning rate must lie above 0 and at most at 10")
    return value


def parse_probe_interval(text: str) -> float | None:
    """Read the epochs between probes; empty leaves them as they are, 0 never probes.

    Raises:
        ValueError: with a sentence for the form.
    """
    if not text.strip():
        return None
    if not text.strip().isdecimal() or int(text) > 100_000:
        raise ValueError("epochs between probes must be a whole number such as 5; 0 never probes")
    return float(int(text))


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
