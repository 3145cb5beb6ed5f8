"""The last line: the keys that do something here, as many as fit, whole."""

from collections.abc import Mapping, Sequence
from itertools import chain

from textual.binding import Binding
from textual.content import Content
from textual.dom import DOMNode
from textual.widget import Widget

from claf_tui.widgets.keys import shown_keys

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
        """Draw the line, with the keys that a person has changed."""
        changed: Mapping[str, str] = getattr(self.app, "changed_keys", {})
        hints = self._hints
        if changed:
            bindings = [*_bindings_of(self.screen), *_bindings_of(self.app)]
            hints = tuple((shown_keys(key, action, bindings, changed), text, action) for key, text, action in hints)
        return key_line(hints, self.size.width)


def _bindings_of(node: DOMNode) -> list[Binding]:
    declared = chain.from_iterable(base.__dict__.get("BINDINGS", ()) for base in type(node).__mro__)
    return [binding for binding in declared if isinstance(binding, Binding)]


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
