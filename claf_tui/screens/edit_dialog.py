"""The form for values that may change while the run goes on."""

import math
from collections.abc import Mapping

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

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


class EditScreen(ModalScreen[Mapping[str, float]]):
    """Ends with the changed values by name; empty when nothing is to change."""

    BINDINGS = [Binding("escape", "cancel", "cancel")]

    def __init__(self, learning_rate: float | None, probe_every: float | None) -> None:
        super().__init__()
        self._learning_rate = learning_rate
        self._probe_every = probe_every

    def compose(self) -> ComposeResult:
        """Lay out a field for each live value."""
        every = "unknown" if self._probe_every is None else f"{self._probe_every:.0f}"
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content("edit while running")
            yield Label(f"learning rate of this phase (now {figures.figure(self._learning_rate)})", markup=False)
            yield Input(placeholder="empty: leave as it is", id="learning-rate", compact=True)
            yield Label(f"epochs between probes (now {every}; 0 never probes)", markup=False)
            yield Input(placeholder="empty: leave as it is", id="probe-every", compact=True)
            yield Static(Content(""), id="edit-error")
            with Horizontal(classes="answers"):
                yield Button("apply", id="apply", variant="primary", compact=True)
                yield Button("cancel", id="cancel", compact=True)

    def on_input_submitted(self) -> None:
        """Apply on enter."""
        self._apply()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Apply or cancel."""
        if event.button.id == "apply":
            self._apply()
        else:
            self.action_cancel()

    def action_cancel(self) -> None:
        """Change nothing."""
        self.dismiss({})

    def _apply(self) -> None:
        try:
            values = {
                LEARNING_RATE: parse_learning_rate(self.query_one("#learning-rate", Input).value),
                PROBE_EVERY: parse_probe_interval(self.query_one("#probe-every", Input).value),
            }
        except ValueError as error:
            self.query_one("#edit-error", Static).update(Content.styled(str(error), "$error"))
            return
        self.dismiss({name: value for name, value in values.items() if value is not None})
