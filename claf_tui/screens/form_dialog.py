"""What all forms share: fields, a sentence on what is wrong with them, and two buttons."""

from collections.abc import Iterator
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Static

Typed = TypeVar("Typed")


class FormScreen(ModalScreen[Typed], Generic[Typed]):
    """Ends with what was typed, or with None where nothing is to be done."""

    BINDINGS = [Binding("escape", "dismiss(None)", "cancel")]
    HEADING: ClassVar[str]
    APPLY: ClassVar[str] = "apply"
    """What the button says that takes the form as it is."""

    def fields(self) -> Iterator[Widget]:
        """Lay out labels and fields."""
        raise NotImplementedError

    def read(self) -> Typed:
        """What the fields say.

        Raises:
            ValueError: with a sentence for the form.
        """
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Lay out the form."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(self.HEADING)
            yield from self.fields()
            yield Static(Content(""), id="form-error")
            with Horizontal(classes="answers"):
                yield Button(self.APPLY, id="apply", variant="primary", compact=True)
                yield Button("cancel", id="cancel", compact=True)

    def on_input_submitted(self) -> None:
        """Apply on enter."""
        self._apply()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Apply or cancel."""
        if event.button.id == "apply":
            self._apply()
        else:
            self.dismiss(None)

    def _apply(self) -> None:
        try:
            typed = self.read()
        except ValueError as error:
            self.query_one("#form-error", Static).update(Content.styled(str(error), "$error"))
            return
        self.dismiss(typed)
