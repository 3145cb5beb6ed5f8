"""A list of values to choose one from, each with what it means."""

import textwrap
from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key, Resize
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from claf_tui.widgets.verdicts import DIM
from claf_tui.words.safe_text import safe

GAP = 2
MARGIN = 2
"""Cells that an option leaves on both sides together."""
NARROWEST = 20
"""Cells of a meaning, however narrow the list is."""


class ChoiceScreen(ModalScreen[str]):
    """Ends with the chosen value, or with an empty string; what is typed goes to the first value that begins so.

    Args:
        title: of the dialog.
        choices: values, each with what it means or an empty string.
        chosen: the one to begin at.
    """

    BINDINGS = [Binding("escape", "dismiss('')", "cancel")]
    HINT = "type to find · enter choose · escape cancel"

    def __init__(self, title: str, choices: Sequence[tuple[str, str]], chosen: str) -> None:
        super().__init__()
        self._title, self._choices = title, choices
        self._chosen = place_of(chosen, choices) or 0
        self._typed = ""

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with Vertical(classes="dialog choices") as dialog:
            dialog.border_title = Content(safe(self._title, 60))
            dialog.border_subtitle = Content(self.HINT)
            yield OptionList(compact=True)
            yield from self.compose_more()

    def compose_more(self) -> ComposeResult:
        """What stands below the list; nothing here."""
        yield from ()

    @on(Resize)
    def _lay_out(self) -> None:
        """Let every meaning stand in a column of its own, however many lines it takes."""
        # With room for a scrollbar, which comes only after the list has been filled.
        room = (
            self._list.outer_size.width - self._list.gutter.width - self._list.styles.scrollbar_size_vertical - MARGIN
        )
        place = self._list.highlighted
        names = max(len(value) for value, _ in self._choices)
        options = (Option(_told(value, text, names, room)) for value, text in self._choices)
        self._list.clear_options().add_options(options)
        self._list.highlighted = self._chosen if place is None else place

    def on_key(self, event: Key) -> None:
        """Go to what is typed; a letter that fits nothing begins anew."""
        if event.key == "backspace":
            self._typed = self._typed[:-1]
        elif event.character is not None and event.is_printable and event.character != " ":
            longer = self._typed + event.character
            self._typed = longer if place_of(longer, self._choices) is not None else event.character
        else:
            self._typed = ""
            return
        event.stop()
        if self._typed and (place := place_of(self._typed, self._choices)) is not None:
            self._list.highlighted = place

    @on(OptionList.OptionSelected)
    def _take(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index][0])

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)


def place_of(typed: str, choices: Sequence[tuple[str, str]]) -> int | None:
    """Which value is meant: the one that was typed in full, or else the first that begins so, or else that holds it."""
    sought, values = typed.casefold(), [value.casefold() for value, _ in choices]
    fits = (lambda value: value == sought, lambda value: value.startswith(sought), lambda value: sought in value)
    return next((place for fit in fits for place, value in enumerate(values) if fit(value)), None)


def _told(value: str, meaning: str, names: int, room: int) -> Content:
    """A value and what it means, both in columns."""
    lines = textwrap.wrap(safe(meaning, 200), max(NARROWEST, room - names - GAP)) or [""]
    indent = " " * (names + GAP)
    text = f"\n{indent}".join(lines)
    return Content.assemble((f"{safe(value, 60):<{names}}", "$foreground"), (f"{' ' * GAP}{text}", DIM))
