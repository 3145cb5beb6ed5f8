"""A widget of lines of which only those are drawn again that have changed: most of a status line stays as it is."""

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual
from textual.widget import Widget


class Lines(Widget):
    """Shows lines of content, each cut to the width; as high as there are lines."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: tuple[Content, ...] = ()
        self._drawn: dict[int, Strip] = {}
        self._drawn_with: tuple[int, Style] | None = None

    def show_lines(self, lines: Sequence[Content]) -> None:
        """Show these lines from now on."""
        before, self._lines = self._lines, tuple(lines)
        # Compared with what is laid out, because a layout that was asked for before the screen is up may be lost.
        if len(before) != len(lines) or self.size.height not in (0, len(lines)):
            self._drawn.clear()
            self.refresh(layout=True)
            return
        changed = [y for y, (old, new) in enumerate(zip(before, lines, strict=True)) if not new.is_same(old)]
        for y in changed:
            self._drawn.pop(y, None)
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def get_content_height(self, *_: object) -> int:
        """As many lines as there are."""
        return len(self._lines)

    def render(self) -> Content:
        """All lines, for whoever copies them."""
        return Content("\n").join(self._lines)

    def render_line(self, y: int) -> Strip:
        """Draw one line, if it was not drawn before."""
        if self.text_selection is not None:
            return super().render_line(y)
        width, style = self.size.width, self.visual_style
        if (width, style) != self._drawn_with:
            self._drawn.clear()
            self._drawn_with = width, style
        if y not in self._drawn:
            line = self._lines[y] if y < len(self._lines) else Content("")
            self._drawn[y] = Visual.to_strips(self, line.truncate(width), width, 1, style, pad=True)[0]
        return self._drawn[y]
