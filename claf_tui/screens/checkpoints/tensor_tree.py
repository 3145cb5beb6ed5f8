"""The tensors of one checkpoint as a tree of modules with totals, in columns."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.message import Message
from textual.widgets import DataTable

from claf_engine.runs.header import TensorInfo
from claf_tui.screens.checkpoints.columns import Column, tree_cells, tree_columns
from claf_tui.screens.checkpoints.modules import TreeRow, first_opened, tree_rows
from claf_tui.screens.checkpoints.table import aligned
from claf_tui.widgets.keys import named


class TensorTree(DataTable[Text]):
    """Modules open and close; what is open stays so from one checkpoint to the next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "open", "open a module", show=False),
        Binding("left", "close", "close a module", show=False),
    ]
    BINDINGS = named("tensors", BINDINGS)

    class Chosen(Message):
        """Another line is under the cursor; None where there is none."""

        def __init__(self, row: TreeRow | None) -> None:
            super().__init__()
            self.row = row

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row")
        self._tensors: Sequence[TensorInfo] = ()
        self._wanted = ""
        self._opened: set[str] | None = None
        self._rows: list[TreeRow] = []
        self._shown_columns: list[Column] = []

    @property
    def chosen(self) -> TreeRow | None:
        """The line under the cursor."""
        return self._rows[self.cursor_row] if 0 <= self.cursor_row < len(self._rows) else None

    @property
    def num_found(self) -> int:
        """Tensors whose name holds what is wanted."""
        return sum(len(row.tensors) for row in self._rows if not row.depth)

    def show(self, tensors: Sequence[TensorInfo], wanted: str) -> None:
        """Show these tensors, or those whose name holds `wanted`."""
        self._tensors, self._wanted = tensors, wanted
        if self._opened is None and tensors:
            self._opened = first_opened(tensors, self.size.height - 1)
        self._fill()

    def on_resize(self, _: Resize) -> None:
        """Share the width among the columns anew."""
        if self._columns() != self._shown_columns:
            self._fill()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Tell which line is under the cursor."""
        event.stop()
        self.post_message(self.Chosen(self.chosen))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open or close the module that was clicked."""
        event.stop()
        self.turn()

    def turn(self) -> None:
        """Open the module under the cursor, or close it."""
        row = self.chosen
        if row is not None and row.is_module:
            self._set_open(row.path, is_open=not row.is_open)

    def action_open(self) -> None:
        """Open the module under the cursor, or go into it."""
        row = self.chosen
        if row is not None and row.is_module:
            self.action_cursor_down() if row.is_open else self._set_open(row.path, is_open=True)

    def action_close(self) -> None:
        """Close the module under the cursor, or go to the one that the line lies in."""
        row = self.chosen
        if row is None:
            return
        if row.is_module and row.is_open and not self._wanted:
            self._set_open(row.path, is_open=False)
        elif row.depth:
            above = [index for index in range(self.cursor_row) if self._rows[index].depth < row.depth]
            self.move_cursor(row=above[-1])

    def _set_open(self, path: str, *, is_open: bool) -> None:
        opened = self._opened or set()
        self._opened = opened | {path} if is_open else opened - {path}
        self._fill()

    def _columns(self) -> list[Column]:
        return tree_columns(self.size.width - self.styles.scrollbar_size_vertical)

    def _fill(self) -> None:
        path = self.chosen.path if self.chosen is not None else None
        self._shown_columns = self._columns()
        self._rows = tree_rows(self._tensors, self._opened or (), self._wanted)
        self.clear(columns=True)
        for column in self._shown_columns:
            self.add_column(aligned(column.name, column), width=column.width)
        for row in self._rows:
            cells = zip(tree_cells(row, self._shown_columns), self._shown_columns, strict=True)
            self.add_row(*(aligned(text, column, "bold" if row.is_module else "") for text, column in cells))
        self.move_cursor(row=next((index for index, row in enumerate(self._rows) if row.path == path), 0))
        self.post_message(self.Chosen(self.chosen))
