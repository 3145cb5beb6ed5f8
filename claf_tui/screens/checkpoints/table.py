"""The list of a run's checkpoints, with what the accuracies of each rest on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.text import Text
from textual.events import Resize
from textual.widgets import DataTable

from claf_tui.screens.checkpoints.actions import Entry
from claf_tui.screens.checkpoints.columns import Column, entry_cells, entry_columns, robust_heading
from claf_tui.state.standings import WORDS


class CheckpointTable(DataTable[Text]):
    """One row for each checkpoint; the cursor stays on its file when the list changes.

    Attributes:
        entries: newest first.
        marked: the one that another is compared with, or None.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=True)
        self.entries: Sequence[Entry] = ()
        self.marked: Path | None = None
        self._standings: Mapping[Path, str] = {}
        self._shown_columns: list[Column] = []

    @property
    def chosen(self) -> Entry | None:
        """The checkpoint under the cursor."""
        return self.entries[self.cursor_row] if 0 <= self.cursor_row < len(self.entries) else None

    @property
    def compared(self) -> Entry | None:
        """What the checkpoint under the cursor is compared with: the marked one, or else the one before it."""
        others = [entry for entry in self.entries[self.cursor_row + 1 :] if entry.info is not None]
        marked = [entry for entry in self.entries if entry.path == self.marked and entry != self.chosen]
        return next(iter([*marked, *others]), None)

    def show(self, entries: Sequence[Entry], standings: Mapping[Path, str]) -> None:
        """List these checkpoints from now on."""
        chosen, self.entries, self._standings = self.chosen, entries, standings
        self._fill(chosen)

    def toggle_mark(self) -> None:
        """Mark the checkpoint under the cursor, and no other, or take its mark away."""
        if (chosen := self.chosen) is not None:
            self.marked = None if chosen.path == self.marked else chosen.path
            self._fill(chosen)

    def on_resize(self, _: Resize) -> None:
        """Choose the columns that there is room for."""
        if self._columns() != self._shown_columns:
            self._fill(self.chosen)

    def _columns(self) -> list[Column]:
        is_scrolled = len(self.entries) + 1 > self.size.height
        room = self.size.width - (self.styles.scrollbar_size_vertical if is_scrolled else 0)
        return entry_columns(room, robust_heading(self.entries))

    def _fill(self, chosen: Entry | None) -> None:
        self._shown_columns = self._columns()
        row = next((i for i, e in enumerate(self.entries) if chosen and e.path == chosen.path), self.cursor_row)
        self.clear(columns=True)
        for column in self._shown_columns:
            self.add_column(aligned(column.name, column), width=column.width)
        for entry in self.entries:
            standing = self._standings.get(entry.path, "")
            cells = entry_cells(entry, self._shown_columns, standing, is_marked=entry.path == self.marked)
            styled = zip(cells, self._shown_columns, strict=True)
            self.add_row(*(aligned(text, column, _style(standing, column.name)) for text, column in styled))
        if self.entries:
            self.move_cursor(row=min(row, len(self.entries) - 1))


def aligned(text: str, column: Column, style: str = "") -> Text:
    """A cell, with numbers on the right."""
    return Text(text.rjust(column.width) if column.is_number else text, style=style, no_wrap=True)


def _style(standing: str, column: str) -> str:
    return WORDS.get(standing, ("", "dim"))[1] if column == "audit" else ""
