"""The last line: the keys that do something here, as many as fit, whole."""

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

Hint = tuple[str, str, str]
"""Key as shown, what it does, and the action that a click runs."""


class KeyBar(Widget):
    """Key hints in order of importance; the last one always stays."""

    def __init__(self, hints: Sequence[Hint], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._hints = tuple(hints)

    def show(self, hints: Sequence[Hint]) -> None:
        """Show these hints from now on."""
        if tuple(hints) != self._hints:
            self._hints = tuple(hints)
            self.refresh()

    def render(self) -> Content:
        """Draw the line."""
        return key_line(self._hints, self.size.width)


def key_line(hints: Sequence[Hint], width: int) -> Content:
    """Write as many hints as fit into `width` cells, keeping the last one."""
    if not hints:
        return Content("")
    *most, last = [_hint(hint) for hint in hints]
    shown: list[Content | str] = []
    room = width - last.cell_length
    for hint in most:
        if hint.cell_length + 2 > room:
            break
        shown += [hint, "  "]
        room -= hint.cell_length + 2
    return Content.assemble(*shown, last)


def _hint(hint: Hint) -> Content:
    key, text, action = hint
    return Content.from_markup(f"[@click={action}][bold $accent]$key[/] $label[/]", key=key, label=text)
