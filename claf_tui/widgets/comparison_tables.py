"""Tables of text on the screen: texts fold, and columns that do not fit are left out by name. Pure functions."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from rich.cells import cell_len, set_cell_size
from textual.content import Content
from textual.widget import Widget

from claf_tui.state.comparison_tables import Cell, TextTable
from claf_tui.widgets.diagnostics import wrapped
from claf_tui.widgets.verdicts import DIM
from claf_tui.words.run_colors import RUN_COLORS

GAP = 2
LEAST = 5
"""Cells that a column is never narrower than, where its texts are longer."""
LEAST_NAME = 8
NAMES = ("run",)
"""Columns whose texts fold before any figure does."""
MAX_FOLDS = 4
BREAKS = (" ", "-_/", ".,")
"""Characters after which a long text is folded, those that are looked for first first."""
STYLES = {
    "": "$foreground",
    "strong": "bold $foreground",
    "dim": DIM,
    "good": "$success",
    "doubt": "$warning",
    "bad": "bold $error",
    "live": "bold $accent",
    **{f"run{number}": f"bold {color}" for number, color in enumerate(RUN_COLORS)},
}


class TablePage(Widget):
    """Several tables below each other, as high as they need to be."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tables: tuple[TextTable, ...] = ()

    def show(self, tables: Sequence[TextTable]) -> None:
        """Show these tables from now on."""
        if tuple(tables) != self._tables:
            self._tables = tuple(tables)
            self.refresh(layout=True)

    def get_content_height(self, _container: object, _viewport: object, width: int) -> int:
        """As many lines as there are."""
        return max(1, len(page_lines(self._tables, width)))

    def render(self) -> Content:
        """Draw the tables."""
        return Content("\n").join(page_lines(self._tables, self.size.width))


def page_lines(tables: Sequence[TextTable], width: int) -> list[Content]:
    """Write tables as lines of at most `width` cells."""
    lines: list[Content] = []
    for number, table in enumerate(tables):
        lines += [Content("")] if number else []
        lines += [Content.styled(f" {table.title}", "bold $primary"), *table_lines(table, width)]
    return lines


def table_lines(table: TextTable, width: int) -> list[Content]:
    """Write a table as lines of at most `width` cells, its notes below it."""
    if not table.rows:
        return [Content.styled(f" {line}", DIM) for line in wrapped(table.empty, width - 2)]
    columns = [number for number, name in enumerate(table.headings)]
    for name in table.optional:
        if _width([_room(table, column) for column in columns]) <= width:
            break
        columns = [column for column in columns if table.headings[column] != name]
    rooms = _fitted({column: _room(table, column) for column in columns}, table, width)
    heads = [Cell(table.headings[column], "dim") for column in columns]
    lines = [line for row in table.rows for line in _lines([row[column] for column in columns], rooms)]
    left = [name for name in table.optional if name not in {table.headings[column] for column in columns}]
    notes = [*table.notes, *([f"a wider terminal also shows: {', '.join(reversed(left))}"] if left else [])]
    below = (line for note in notes for line in wrapped(note, width - 2))
    lines = [line.truncate(width, ellipsis=True) for line in (*_lines(heads, rooms), *lines)]
    return [*lines, *(Content.styled(f" {line}", DIM) for line in below)]


def _room(table: TextTable, column: int) -> int:
    return max(cell_len(table.headings[column]), *(cell_len(row[column].text) for row in table.rows))


def _width(rooms: Sequence[int]) -> int:
    return 1 + sum(rooms) + GAP * (len(rooms) - 1)


def _fitted(wanted: Mapping[int, int], table: TextTable, width: int) -> list[int]:
    """Rooms of columns: those of names are narrowed first, then the widest, until all fit."""
    rooms = dict(wanted)
    names = [column for column in rooms if table.headings[column] in NAMES]
    for candidates, least in ((names, LEAST_NAME), (list(rooms), LEAST)):
        while candidates and _width(list(rooms.values())) > width:
            widest = max(candidates, key=lambda column: rooms[column])
            if rooms[widest] <= least:
                break
            rooms[widest] -= 1
    return list(rooms.values())


def _lines(cells: Sequence[Cell], rooms: Sequence[int]) -> list[Content]:
    """One row, in as many lines as its longest text takes."""
    folded = [folded_text(cell.text, room) for cell, room in zip(cells, rooms, strict=True)]
    lines = []
    for parts in zip_longest(*folded, fillvalue=""):
        spans: list[tuple[str, str] | str] = []
        for part, cell, room in zip(parts, cells, rooms, strict=True):
            spans += [(set_cell_size(part, room), STYLES.get(cell.tone, "$foreground")), " " * GAP]
        lines.append(Content.assemble(" ", *spans[:-1]))
    return lines


def folded_text(text: str, room: int) -> list[str]:
    """A text in lines of at most `room` cells, broken after a space or a sign where that can be done."""
    lines: list[str] = []
    while cell_len(text) > room and len(lines) < MAX_FOLDS - 1:
        end = next(end for end in range(min(room, len(text)), -1, -1) if cell_len(text[:end]) <= room)
        signs = (max(text.rfind(char, 0, end) for char in chars) + 1 for chars in BREAKS)
        end = next((sign for sign in signs if sign > end // 2), max(1, end))
        lines.append(text[:end].rstrip())
        text = text[end:]
    return [*lines, text if cell_len(text) <= room else f"{set_cell_size(text, room - 1)}…"]
