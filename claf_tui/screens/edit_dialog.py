"""The forms for values that may change while the run goes on, and for a pause that is to come later."""

from collections.abc import Iterator, Mapping

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from claf_engine.events.control import Later, Value
from claf_tui.screens.form_dialog import FormScreen
from claf_tui.words.live_values import LIVE_VALUES, LiveValue, parse_later, parse_value, value_text


class EditScreen(FormScreen[Mapping[str, Value]]):
    """Ends with the changed values by name, or with None.

    Args:
        values: as they stand, by name; of those that this phase does not have there is no field.
    """

    HEADING = "edit while running"

    def __init__(self, values: Mapping[str, Value | None]) -> None:
        super().__init__()
        self._values = values

    def fields(self) -> Iterator[Widget]:
        """Lay out a field for each live value."""
        yield Static(Content("What is left empty stays as it is."))
        with VerticalScroll(id="live-values", can_focus=False):
            for value in self._shown:
                hint = f" · {value.hint}" if value.hint else ""
                now = f"now {value_text(self._values[value.name])}{hint}"
                with Horizontal(classes="live-value"):  # side by side, so that none is seen without its name
                    yield Label(value.label, markup=False)
                    yield Input(placeholder=now, id=field_id(value.name), compact=True)

    def read(self) -> Mapping[str, Value]:
        """The values that are to change.

        Raises:
            ValueError: with a sentence for the form.
        """
        typed = {
            value.name: parse_value(value.name, self.query_one(f"#{field_id(value.name)}", Input).value)
            for value in self._shown
        }
        return {name: value for name, value in typed.items() if value is not None}

    @property
    def _shown(self) -> list[LiveValue]:
        return [value for value in LIVE_VALUES if value.name in self._values]


class LaterScreen(FormScreen[Later]):
    """Ends with when to pause, or with None."""

    HEADING = "go on, then pause"
    APPLY = "go on"

    def fields(self) -> Iterator[Widget]:
        """Lay out the one field."""
        yield Static(Content("The run goes on until then and waits. Space pauses it earlier; to go on cancels this."))
        yield Label("steps, or epoch, or phase: to the end of it", markup=False)
        yield Input("100", id="later", compact=True)

    def read(self) -> Later:
        """When to pause.

        Raises:
            ValueError: with a sentence for the form.
        """
        return parse_later(self.query_one("#later", Input).value)


def field_id(name: str) -> str:
    """The id of the field of a live value."""
    return f"live-{name.replace('.', '-').replace('_', '-')}"
