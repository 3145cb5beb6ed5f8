"""Widgets that are drawn line by line, from text and pictures beside each other."""

from collections.abc import Sequence

from rich.segment import Segment
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

Part = Content | list[Segment]
Line = list[Part]
"""Texts and runs of coloured cells, from left to right."""


class LinesWidget(Widget):
    """Draws lines that are made once per change; subclasses say which by `lines` and call `redraw`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key: object = None
        self._version = 0
        self._strips: list[Strip] = []

    def lines(self, width: int, height: int) -> Sequence[Line]:
        """Make the lines; those beyond `height` are not seen."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Make the lines anew."""
        self._version += 1
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Give one line of the drawing."""
        width, height = self.size
        key = (self._version, width, height, self.background_colors, self.app.theme)
        if key != self._key:
            self._key = key
            self._strips = [self._strip(line) for line in self.lines(width, height)[:height]]
        strip = self._strips[y] if y < len(self._strips) else Strip([])
        return strip.adjust_cell_length(width).apply_style(self.rich_style)

    def _strip(self, line: Line) -> Strip:
        segments: list[Segment] = []
        for part in line:
            if isinstance(part, Content):
                parse = self.app.stylesheet.parse_style
                rendered = part.render(self.visual_style, end="", parse_style=parse)
                segments += [Segment(text, style.rich_style) for text, style in rendered]
            else:
                segments += part
        return Strip(segments)
