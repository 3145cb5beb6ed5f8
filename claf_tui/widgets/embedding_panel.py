"""Features of the watched images on a flat map, each with the way that the attack moves it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from textual.content import Content

from claf_tui.charts.braille import BLANK, CELL_COLUMNS, CELL_ROWS, to_cells
from claf_tui.state.album import NoPage, Page
from claf_tui.state.embedding import basis_of, relative_displacement
from claf_tui.widgets.chart import PALETTE
from claf_tui.widgets.drawn_lines import Line, LinesWidget
from claf_tui.widgets.examples_panel import MUTED, reason_lines
from claf_tui.words import figures

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MANY = "*"
"""Letter of the classes beyond those that have one."""
SURVIVOR, VICTIM = "•", "✘"
MIN_HEIGHT = 6
"""Lines of the map, before legend and words get any."""

Dots = NDArray[np.int64]


class EmbeddingPanel(LinesWidget):
    """Shows where the watched images of a page lie among each other."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._page: Page | NoPage = NoPage("")

    def show(self, page: Page | NoPage) -> None:
        """Draw this page from now on."""
        self._page = page
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        """Draw the map, and below it what its letters mean."""
        if isinstance(self._page, NoPage):
            return reason_lines("", width, height)
        return embedding_lines(self._page, width, height)


@dataclass(frozen=True)
class Cell:
    """One cell of the map: a character and its colour."""

    text: str
    style: str


def embedding_lines(page: Page, width: int, height: int) -> list[Line]:
    """Draw map, legend and figure into `width` x `height` cells."""
    below = [*legend_lines(page, width), *figure_lines(page, width)][: max(0, height - MIN_HEIGHT)]
    cells = map_cells(page, width, max(1, height - len(below)))
    drawn = [_row(cells, row, width) for row in range(height - len(below))]
    return [[line] for line in (*drawn, *below)]


def letters_of(class_names: Sequence[str], count: int) -> list[str]:
    """A letter for each of `count` classes: the first of its name where no other has it, else those of the alphabet."""
    firsts = [name[:1].upper() for name in class_names[:count]]
    if len(set(firsts)) == count and all(first.isascii() and first.isalpha() for first in firsts):
        return firsts
    return [LETTERS[index] if index < len(LETTERS) else MANY for index in range(count)]


def class_color(label: int) -> str:
    """The colour of a class; there are fewer of them than there may be classes, and letters tell the rest."""
    return PALETTE[label % len(PALETTE)]


def map_cells(page: Page, width: int, height: int) -> dict[tuple[int, int], Cell]:
    """The cells of the map, by row and column: a letter where an image lies, a line to where the attack moves it.

    Directions and scale are those of the newest probe; what lies outside is drawn at the edge.
    """
    labels = page.clean.labels
    basis = basis_of(page.newest.before, page.newest.after, labels)
    shape = height * CELL_ROWS, width * CELL_COLUMNS
    scale = max(2 * reach / (side - 1) for reach, side in zip(basis.reach, reversed(shape), strict=True))
    before, after = (
        _dots(basis.places(answers.features) / scale, shape) for answers in (page.probed.before, page.probed.after)
    )
    letters = letters_of(page.class_names, int(labels.max()) + 1)
    lines: dict[tuple[int, int], Cell] = {}
    ends: dict[tuple[int, int], Cell] = {}
    grid = np.zeros(shape, dtype=np.bool_)
    answers = page.probed.after.classes.tolist()
    for start, end, label, answer in zip(before, after, labels.tolist(), answers, strict=True):
        rows, columns = _line(start, end)
        grid[rows, columns] = True
        for cell in zip((rows // CELL_ROWS).tolist(), (columns // CELL_COLUMNS).tolist(), strict=True):
            lines[cell] = Cell("", f"{class_color(label)} 70%")
        ends[_cell(end)] = Cell(SURVIVOR if answer == label else VICTIM, class_color(answer))
    packed = to_cells(grid)
    found = {cell: Cell(chr(BLANK + int(packed[cell])), each.style) for cell, each in lines.items()}
    found |= ends
    for start, label in zip(before, labels.tolist(), strict=True):
        found[_cell(start)] = Cell(letters[label], f"bold {class_color(label)}")
    return found


def legend_lines(page: Page, width: int) -> list[Content]:
    """Name the letters, in as many lines as they need."""
    labels = sorted(set(page.clean.labels.tolist()))
    letters = letters_of(page.class_names, labels[-1] + 1)
    entries = [
        Content.assemble((f"{letters[label]} ", f"bold {class_color(label)}"), (page.name(label), "$foreground"))
        for label in labels
    ]
    marks = ((SURVIVOR, "attacked"), (VICTIM, "taken for its colour's class"))
    entries += [Content.assemble((f"{mark} ", "$foreground"), (text, MUTED)) for mark, text in marks]
    lines: list[Content] = []
    line = Content("")
    for entry in entries:
        if line.cell_length and line.cell_length + 2 + entry.cell_length > width - 1:
            lines.append(line)
            line = Content("")
        line = Content.assemble(
            line, "  " if line.cell_length else " ", entry.truncate(max(1, width - 1), ellipsis=True)
        )
    return [*lines, line]


def figure_lines(page: Page, width: int) -> list[Content]:
    """Say how far the attack moves features, here and at the first probe that is looked back on."""
    labels = page.clean.labels
    here = relative_displacement(page.probed.before, page.probed.after, labels)
    if here is None:
        return []
    text = f"the attack moves features {here:.2f} of the distance between classes"
    first = relative_displacement(page.oldest.before, page.oldest.after, labels)
    if first is not None and page.oldest.about.step < page.probed.about.step:
        text += f" ({first:.2f} at step {figures.count(page.oldest.about.step)})"
    wrapped = Content.styled(text, MUTED).wrap(max(1, width - 2))
    return [Content.assemble(" ", line) for line in wrapped]


def _row(cells: dict[tuple[int, int], Cell], row: int, width: int) -> Content:
    parts = [cells.get((row, column)) for column in range(width)]
    return Content.assemble(*((part.text, part.style) if part is not None else " " for part in parts))


def _cell(dot: NDArray[np.int64]) -> tuple[int, int]:
    row, column = dot.tolist()
    return row // CELL_ROWS, column // CELL_COLUMNS


def _dots(places: NDArray[np.float64], shape: tuple[int, int]) -> Dots:
    """Dots (N, 2), row and column, of places (N, 2), across and upwards, counted from the middle of the map."""
    rows, columns = shape
    found = np.stack([(rows - 1) / 2 - places[:, 1], (columns - 1) / 2 + places[:, 0]], axis=1)
    limited: Dots = np.rint(found).clip(0, [rows - 1, columns - 1]).astype(np.int64)
    return limited


def _line(start: NDArray[np.int64], end: NDArray[np.int64]) -> tuple[Dots, Dots]:
    """Rows and columns of the dots on a straight line."""
    count = int(np.abs(end - start).max()) + 1
    rows, columns = (np.rint(np.linspace(a, b, count)).astype(np.int64) for a, b in zip(start, end, strict=True))
    return rows, columns
