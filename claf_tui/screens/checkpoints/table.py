"""The list of a run's checkpoints, with what the accuracies of each rest on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.text import Text
from textual.events import Resize
from textual.widgets import DataTable

from claf_tui.screens.checkpoints.actions import Entry, entry_cells, entry_columns
from claf_tui.state.standings import WORDS


class CheckpointTable(DataTable[Text]):
    """One row for each checkpoint; the cursor stays on its file when the list changes."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=True)
        self.entries: Sequence[Entry] = ()
        self._standings: Mapping[Path, str] = {}
        self._shown_columns: list[tuple[str, int]] = []

    @property
    def chosen(self) -> Entry | None:
        """The checkpoint under the cursor."""
        return self.entries[self.cursor_row] if 0 <= self.cursor_row < len(self.entries) else None

    def show(self, entries: Sequence[Entry], standings: Mapping[Path, str]) -> None:
        """List these checkpoints from now on."""
        chosen, self.entries, self._standings = self.chosen, entries, standings
        self._fill(chosen)

    def on_resize(self, _: Resize) -> None:
        """Choose the columns that there is room for."""
        if entry_columns(self.size.width) != self._shown_columns:
            self._fill(self.chosen)

    def _fill(self, chosen: Entry | None) -> None:
        self._shown_columns = entry_columns(self.size.width)
        row = next((i for i, e in enumerate(self.entries) if chosen and e.path == chosen.path), self.cursor_row)
        self.clear(columns=True)
        for name, width in self._shown_columns:
            self.add_column(name, width=width)
        for entry in self.entries:
            standing = self._standings.get(entry.path, "")
            cells = entry_cells(entry, standing)[: len(self._shown_columns)]
            self.add_row(*(self._cell(text, standing, name) for text, (name, _) in self._named(cells)))
        if self.entries:
            self.move_cursor(row=min(row, len(self.entries) - 1))

    def _named(self, cells: Sequence[str]) -> list[tuple[str, tuple[str, int]]]:
        return list(zip(cells, self._shown_columns, strict=True))

    @staticmethod
    def _cell(text: str, standing: str, column: str) -> Text:
        style = WORDS.get(standing, ("", "dim"))[1] if column == "audit" else ""
        return Text(text, style=style, no_wrap=True)
