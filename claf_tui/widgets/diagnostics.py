"""The diagnostics of an audit: a list in which verdicts appear one by one, and all that is known of one of them."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from textual.content import Content
from textual.widget import Widget

from claf_engine import events as ev
from claf_tui.state.audit import AuditScene, Row, rows
from claf_tui.widgets.glyphs import bar, fit, spinner, spread
from claf_tui.widgets.verdicts import DIM, badge, glyph, is_number, word
from claf_tui.words import figures
from claf_tui.words.safe_text import ELLIPSIS, safe

CURSOR = "▌"
GLYPH_ROOM, WORD_ROOM, TIME_ROOM = 4, 9, 8
LEAST_FIGURE = 18
WITH_WORDS, WITH_TIMES = 96, 78
"""Cells from which on the verdict is written out, and the time that it took."""
MAX_VALUES = 24
MAX_TEXT = 600


class DiagnosticList(Widget):
    """One line for each diagnostic; the chosen one is marked."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._scene = AuditScene()
        self._rows: list[Row] = []
        self._chosen = 0

    def show(self, scene: AuditScene, chosen: int) -> None:
        """Show this scene from now on, with this row chosen; the height follows the number of rows."""
        self._scene, self._rows, self._chosen = scene, rows(scene), chosen
        self.refresh(layout=self.size.height not in (0, self.get_content_height()))

    def get_content_height(self, *_: object) -> int:
        """A line for each diagnostic."""
        return max(1, len(self._rows))

    def render(self) -> Content:
        """Draw the list."""
        return Content("\n").join(list_lines(self._scene, self._chosen, self.size.width))


class DiagnosticDetail(Widget):
    """All that is known of the chosen diagnostic."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._row: Row | None = None

    def show(self, row: Row | None) -> None:
        """Show this diagnostic from now on."""
        if row != self._row:
            self._row = row
            self.refresh(layout=True)

    def get_content_height(self, _container: object, _viewport: object, width: int) -> int:
        """As many lines as there is to say."""
        return max(1, len(detail_lines(self._row, width)))

    def render(self) -> Content:
        """Draw the text."""
        return Content("\n").join(detail_lines(self._row, self.size.width))


def list_lines(scene: AuditScene, chosen: int, width: int) -> list[Content]:
    """Write every diagnostic as one line of at most `width` cells."""
    listed = rows(scene)
    if not listed:
        return [Content.styled(" the diagnostics follow as soon as torch is loaded", DIM)]
    room = title_room([row.title for row in listed], width)
    return [row_line(scene, row, room, width, is_chosen=index == chosen) for index, row in enumerate(listed)]


def title_room(titles: Sequence[str], width: int) -> int:
    """Cells of the titles: that of the longest, as long as the figures keep a few."""
    free = width - GLYPH_ROOM - (WORD_ROOM if width >= WITH_WORDS else 0) - (TIME_ROOM if width >= WITH_TIMES else 0)
    longest = max((len(safe(title, 80)) for title in titles), default=0)
    return max(8, min(longest + 1, free - LEAST_FIGURE))


def row_line(scene: AuditScene, row: Row, room: int, width: int, *, is_chosen: bool) -> Content:
    """One diagnostic: cursor, glyph, title, figure, verdict and seconds; the running one has a bar for its figure."""
    sign, style = glyph(row.status)
    if row.status == "running":
        sign = "‖" if scene.moment.word == "PAUSED" else spinner(scene.moment.frame)
    is_bright = row.status not in {"waiting", "not-run"}
    title = clipped(row.title, room - 1).ljust(room)
    left = Content.assemble(
        (CURSOR if is_chosen else " ", "$accent"),
        (f" {sign} ", style),
        (title, f"{'bold ' if is_chosen else ''}{'$foreground' if is_bright else DIM}"),
    )
    right: list[tuple[str, str]] = []
    if width >= WITH_WORDS:
        right.append((f" {word(row.status):<{WORD_ROOM - 1}}", style))
    if width >= WITH_TIMES:
        right.append((f"{_time(scene, row):>{TIME_ROOM - 1}} ", DIM))
    end = Content.assemble(*right)
    free = width - left.cell_length - end.cell_length
    figure = _progress(scene.activity, free - 1) if row.status == "running" else _figure(row, free - 1)
    return fit([Content.assemble(left, figure, " " * max(0, free - figure.cell_length), end)], width)


def detail_lines(row: Row | None, width: int) -> list[Content]:
    """Write all that is known of one diagnostic as lines of at most `width` cells."""
    if row is None:
        return [Content.styled(" nothing is chosen yet", DIM)]
    head = [Content.styled(f" {line}", "bold $foreground") for line in wrapped(row.title, width - 1)]
    mark = badge(word(row.status).upper(), row.status)
    head.append(spread(Content.assemble(" ", mark), Content.styled(f"{safe(row.name, 30)} ", DIM), width))
    lines = [*head, Content("")]
    figure = ("why not" if row.status == "not-run" else "figure", row.figure, glyph(row.status)[1])
    texts = (figure, ("threshold", row.threshold, "$foreground"), ("meaning", row.meaning, "$foreground"))
    for label, text, style in (*texts, ("source", row.source, DIM)):
        if text:
            lines += _labelled(label, text, width, style)
    values = value_lines(row.values, width)
    return [*lines, *([Content(""), *values] if values else [])]


def value_lines(values: Mapping[str, Any], width: int) -> list[Content]:
    """The numbers behind a figure, one a line, as plainly as they were recorded."""
    shown = list(values.items())[:MAX_VALUES]
    room = min(max((len(safe(name, 30)) for name, _ in shown), default=0), max(8, width // 2))
    lines = [
        Content.assemble(
            (f" {clipped(name.replace('_', ' '), room):<{room}}  ", DIM), (value_text(value), "$foreground")
        ).truncate(width, ellipsis=True)
        for name, value in shown
    ]
    left_out = len(values) - len(shown)
    return [*lines, Content.styled(f" and {left_out} more in card.json", DIM)] if left_out else lines


def value_text(value: object) -> str:
    """A recorded value in one line: numbers with four digits, lists in full as far as the line goes."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return figures.figure(value)
    if isinstance(value, Mapping):
        return safe(", ".join(f"{key} {value_text(item)}" for key, item in value.items()), 200)
    if isinstance(value, list | tuple):
        return safe(", ".join(value_text(item) for item in value), 200)
    return figures.count(value) if isinstance(value, int) and is_number(value) else safe(value, 200)


def wrapped(text: object, width: int) -> list[str]:
    """Clean text over as many lines as it needs."""
    return textwrap.wrap(safe(text, MAX_TEXT), max(12, width)) or [""]


def clipped(text: object, room: int) -> str:
    """Clean text of at most `room` cells."""
    plain = safe(text, 200)
    return plain if len(plain) <= room else f"{plain[: max(0, room - 1)]}{ELLIPSIS}"


def _labelled(label: str, text: str, width: int, style: str) -> list[Content]:
    first, *rest = wrapped(text, width - 12)
    head = Content.assemble((f" {label:<10}", DIM), (first, style))
    return [head, *(Content.styled(f"{'':<11}{line}", style) for line in rest)]


def _figure(row: Row, room: int) -> Content:
    style = DIM if row.status == "not-run" else glyph(row.status)[1]
    return Content.styled(clipped(row.figure, max(0, room)), style)


def _progress(activity: ev.Progressed | None, room: int) -> Content:
    if activity is None or room < 8:
        return Content("")
    share = Content.styled(f" {100 * activity.activity_fraction:3.0f}%", "bold $accent")
    return Content.assemble(bar(activity.activity_fraction, min(24, room - share.cell_length)), share)


def _time(scene: AuditScene, row: Row) -> str:
    if row.status == "waiting":
        return ""
    seconds = scene.moment.waited - scene.began if row.status == "running" else row.seconds
    return f"{seconds:.1f} s" if seconds < 100 else figures.duration(seconds)
