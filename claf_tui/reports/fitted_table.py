"""A table that fits its terminal: where that is narrow, the least important columns are left out whole, and named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
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

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """Draw as many columns as fit."""
        left_out: tuple[str, ...] = ()
        for number in range(len(self.optional) + 1):
            left_out = self.optional[:number]
            if self.least_width(left_out) <= options.max_width:
                break
        yield self._table(left_out)
        if left_out:
            names = ", ".join(heading for heading in self.headings if heading in left_out)
            yield Text(f"a wider terminal also shows: {names}", style="dim")
        yield from self.captions

    def least_width(self, left_out: Sequence[str]) -> int:
        """Cells that the table needs without some of its columns."""
        rooms = [self._least(heading) for heading in self.headings if heading not in left_out]
        return sum(rooms) + GAP * len(rooms)

    def _least(self, heading: str) -> int:
        column = self.headings.index(heading)
        room = max([cell_len(heading), *(row[column].cell_len for row in self.rows)])
        return min(room, self.wrapped.get(heading, room))

    def _table(self, left_out: Sequence[str]) -> Table:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        kept = [column for column, heading in enumerate(self.headings) if heading not in left_out]
        for column in kept:
            heading = self.headings[column]
            no_wrap = heading not in self.wrapped
            table.add_column(heading, overflow="fold", no_wrap=no_wrap, min_width=self._least(heading))
        for row in self.rows:
            table.add_row(*(row[column] for column in kept))
        return table
