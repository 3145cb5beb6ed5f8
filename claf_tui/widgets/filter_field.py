"""A field above a list, whose words leave the rows that fit."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input


class FilterField(Input):
    """Stands there while something is typed into it, or was.

    Its own keys have priority: what is pressed right after them then goes to the list, however busy the machine is.

    Args:
        words: what the filter holds to begin with.
        filtered: selector of the list, which is gone on in.
        placeholder: an example.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "leave", show=False, priority=True),
        Binding("down", "leave", show=False, priority=True),
        Binding("escape", "take_back", show=False, priority=True),
    ]

    def __init__(self, words: str = "", *, filtered: str, placeholder: str, id: str) -> None:
        super().__init__(words, placeholder=placeholder, id=id, compact=True)
        self._filtered = filtered

    def on_mount(self) -> None:
        """Stand there only where there is a filter."""
        self._settle()

    def begin(self) -> None:
        """Let words be typed."""
        self.display = True
        self.screen.set_focus(self)

    def action_leave(self) -> None:
        """Go on in the list."""
        self._focus_list()
        self.call_later(self._settle)  # after the letters that were typed before the key

    def action_take_back(self) -> None:
        """Show all rows again."""
        self._focus_list()
        self.call_later(self._empty)

    def _focus_list(self) -> None:
        self.screen.set_focus(self.screen.query_one(self._filtered))

    def _empty(self) -> None:
        self.value = ""
        self._settle()

    def _settle(self) -> None:
        if not self.has_focus:
            self.display = bool(self.value)
