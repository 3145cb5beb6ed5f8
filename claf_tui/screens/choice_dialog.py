"""A list of values to choose one from, each with what it means."""

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from claf_tui.widgets.verdicts import DIM
from claf_tui.words.safe_text import safe


class ChoiceScreen(ModalScreen[str]):
    """Ends with the chosen value, or with an empty string.

    Args:
        title: of the dialog.
        choices: values, each with what it means or an empty string.
        chosen: the one to begin at.
    """

    BINDINGS = [Binding("escape,q", "dismiss('')", "cancel")]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]], chosen: str) -> None:
        super().__init__()
        self._title, self._choices = title, choices
        self._chosen = next((number for number, (value, _) in enumerate(choices) if value == chosen), 0)

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        width = max(len(value) for value, _ in self._choices)
        with Vertical(classes="dialog choices") as dialog:
            dialog.border_title = Content(safe(self._title, 60))
            yield OptionList(
                *(
                    Option(
                        Content.assemble((f"{safe(value, 60):<{width}}", "$foreground"), (f"  {safe(text, 200)}", DIM))
                    )
                    for value, text in self._choices
                ),
                compact=True,
            )

    def on_mount(self) -> None:
        """Begin at the value that stands."""
        self.query_one(OptionList).highlighted = self._chosen

    @on(OptionList.OptionSelected)
    def _take(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index][0])
