"""A table that fits its terminal: where that is narrow, the least important columns are left out whole, and named."""

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


@dataclass(frozen=True)
class FittedTable:
    """Rows of clean text under headings.

    Attributes:
        headings: one for each column.
        rows: texts, a tuple for each row.
        optional: headings of the columns that may go, the first to go first.
        wrapped: headings of the columns that may wrap, with the least width of each; no other does.
        captions: lines below the table.
    """

    headings: tuple[str, ...]
    rows: Sequence[tuple[Text, ...]]
    optional: tuple[str, ...] = ()
    wrapped: Mapping[str, int] = field(default_factory=dict)
    captions: tuple[Text, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw as many columns as fit."""
        left_out: tuple[str, ...] = ()
        for number in range(len(self.optional) + 1):
            left_out = self.optional[:number]
            if self.least_width(left_out) <= options.max_width:
                break
        kept = [column for column, heading in enumerate(self.headings) if heading not in left_out]
        is_loose = sum(self._rooms[column] + GAP for column in kept) <= options.max_width
        yield from self._lines(kept, console) if is_loose else (self._table(kept),)
        if left_out:
            names = ", ".join(heading for heading in self.headings if heading in left_out)
            yield Text(f"a wider terminal also shows: {names}", style="dim")
        yield from self.captions

    def least_width(self, left_out: Sequence[str]) -> int:
        """Cells that the table needs without some of its columns."""
        rooms = [self._least(heading) for heading in self.headings if heading not in left_out]
        return sum(rooms) + GAP * len(rooms)

    def _least(self, heading: str) -> int:
        room = self._rooms[self.headings.index(heading)]
        return min(room, self.wrapped.get(heading, room))

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

    def _table(self, kept: Sequence[int]) -> Table:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for column in kept:
            heading = self.headings[column]
            no_wrap = heading not in self.wrapped
            table.add_column(heading, overflow="fold", no_wrap=no_wrap, min_width=self._least(heading))
        for row in self.rows:
            table.add_row(*(row[column] for column in kept))
        return table


def _cell(cell: Text, room: int, console: Console) -> tuple[Segment, ...]:
    """A text filled up to its room."""
    gap = " " * (room - cell.cell_len)
    if not cell.style and not cell.spans:
        return (Segment(cell.plain + gap),)
    styled = Segment.apply_style(cell.render(console), console.get_style(cell.style))
    return (*(segment for segment in styled if segment.text), Segment(gap))
