"""A table that fits its terminal: where that is narrow, texts fold between words and columns are left out, named."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

GAP = 2
"""Cells between two columns, and of both edges together."""
WORD = re.compile(r" +|[^ -]+-*|-+")
"""What a text is folded between: spaces, words, and the parts of a word up to a hyphen."""


@dataclass(frozen=True)
class Fold:
    """How a column folds.

    Attributes:
        least: cells that it is never narrower than.
        whole: cells up to which it stays whole while other columns can still be left out instead.
    """

    least: int
    whole: int = 0

    @property
    def wanted(self) -> int:
        """Cells below which it only folds where nothing else helps."""
        return max(self.least, self.whole)


@dataclass(frozen=True)
class FittedTable:
    """Rows of clean text under headings.

    Attributes:
        headings: one for each column.
        rows: texts, a tuple for each row.
        optional: headings of the columns that may go, the first to go first.
        folds: headings of the columns whose texts may fold, the first to fold first; no other does.
        captions: lines below the table.
    """

    headings: tuple[str, ...]
    rows: Sequence[tuple[Text, ...]]
    optional: tuple[str, ...] = ()
    folds: Mapping[str, Fold] = field(default_factory=dict)
    captions: tuple[Text, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw as many columns as fit."""
        attempts = [self.optional[:number] for number in range(len(self.optional) + 1)]
        fitting = (left_out for left_out in attempts if self.least_width(left_out) <= options.max_width)
        left_out = next(fitting, self.optional)
        kept = [column for column, heading in enumerate(self.headings) if heading not in left_out]
        rooms = self._folded_rooms(kept, options.max_width)
        is_loose = rooms == {column: self._rooms[column] for column in kept}
        yield from self._lines(kept, console) if is_loose else (self._table(rooms),)
        if left_out:
            names = ", ".join(heading for heading in self.headings if heading in left_out)
            yield Text(f"a wider terminal also shows: {names}", style="dim")
        yield from self.captions

    def least_width(self, left_out: Sequence[str]) -> int:
        """Cells that the table wants without some of its columns, with the others folded as far as they should."""
        rooms = [
            min(room, fold.wanted) if (fold := self.folds.get(heading)) else room
            for heading, room in zip(self.headings, self._rooms, strict=True)
            if heading not in left_out
        ]
        return sum(rooms) + GAP * len(rooms)

    def _folded_rooms(self, kept: Sequence[int], width: int) -> dict[int, int]:
        """Cells of each column, so that all fit into a width where folding alone can do that."""
        rooms = {column: self._rooms[column] for column in kept}
        excess = sum(rooms.values()) + GAP * len(rooms) - width
        wanted = [(heading, fold.wanted) for heading, fold in self.folds.items()]
        for heading, least in (*wanted, *((heading, fold.least) for heading, fold in self.folds.items())):
            column = self.headings.index(heading)
            if column in rooms and (given := min(excess, rooms[column] - least)) > 0:
                rooms[column] -= given
                excess -= given
        return rooms

    @cached_property
    def _rooms(self) -> list[int]:
        """Cells of the longest text of each column."""
        rooms = []
        for column, heading in enumerate(self.headings):
            different = {id(row[column]): row[column] for row in self.rows}
            rooms.append(max([cell_len(heading), *(cell.cell_len for cell in different.values())]))
        return rooms

    def _lines(self, kept: Sequence[int], console: Console) -> Iterator[Segment]:
        """The table as rich would draw it where nothing wraps; rich itself takes a second for a thousand rows."""
        rooms = [self._rooms[column] for column in kept]
        width = sum(rooms) + GAP * (len(rooms) - 1)
        heading = "  ".join(
            self.headings[column] + " " * (room - cell_len(self.headings[column]))
            for column, room in zip(kept, rooms, strict=True)
        )
        yield Segment(f"{'':{width + GAP}}\n")
        yield Segment(f" {heading} \n", console.get_style("table.header"))
        yield Segment(f" {'─' * width} \n")
        ends = [*[GAP] * (len(kept) - 1), 1]
        drawn: dict[tuple[int, int], tuple[Segment, ...]] = {}
        for row in self.rows:
            plain = " "
            for column, room, end in zip(kept, rooms, ends, strict=True):
                # Most cells of a long table are one and the same object, and are drawn once.
                key = id(row[column]), column
                if key not in drawn:
                    drawn[key] = _cell(row[column], room + end, console)
                for segment in drawn[key]:
                    if segment.style is None:
                        plain += segment.text
                    else:
                        yield from (Segment(plain), segment)
                        plain = ""
            yield Segment(f"{plain}\n")
        yield Segment(f"{'':{width + GAP}}\n")

    def _table(self, rooms: Mapping[int, int]) -> Table:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for column, room in rooms.items():
            heading = self.headings[column]
            table.add_column(heading, overflow="fold", no_wrap=heading not in self.folds, min_width=room)
        for row in self.rows:
            table.add_row(*(folded(row[column], room) for column, room in rooms.items()))
        return table


def folded(text: Text, width: int) -> Text:
    """Break a text into lines of at most `width` cells: after a comma where that helps, else at a space or a hyphen.

    Only a part between two hyphens that is wider than a line is left as it is.
    """
    breaks, start, end = [], 0, 0
    places = [match.end() for match in WORD.finditer(text.plain)]
    for place in places:
        while end > start and cell_len(text.plain[start:place].rstrip()) > width:
            commas = [at for at in places if start < at <= end and text.plain[:at].rstrip().endswith(",")]
            start = commas[-1] if commas else end
            breaks.append(start)
        end = place
    lines = text.divide(breaks)
    for line in lines:
        line.rstrip()
    return Text("\n").join(lines)


def _cell(cell: Text, room: int, console: Console) -> tuple[Segment, ...]:
    """A text filled up to its room."""
    gap = " " * (room - cell.cell_len)
    if not cell.style and not cell.spans:
        return (Segment(cell.plain + gap),)
    styled = Segment.apply_style(cell.render(console), console.get_style(cell.style))
    return (*(segment for segment in styled if segment.text), Segment(gap))
