"""A horizontal bar chart like the paper's Figure 1: the accuracies of each method, with the paper's as a tick."""

from textual.content import Content

from claf_engine.events import ReproductionChanged, ReproductionRow
from claf_tui.widgets.glyphs import fit
from claf_tui.widgets.paper_table import DIM, OfTable, column_color, has_paper, points
from claf_tui.words.safe_text import safe

EIGHTHS = " ▏▎▍▌▋▊▉"
TICK = "│"
WIDEST_LABEL = 14
VALUE_ROOM = 7
NARROWEST_TRACK = 16
MARKS = (0.0, 0.25, 0.5, 0.75, 1.0)


class PaperBars(OfTable):
    """Bars of all methods; a blank line between methods where there is room for it."""

    def lines(self, table: ReproductionChanged) -> list[Content]:
        """Draw the chart."""
        return bar_lines(table, self.size.width, self.size.height)


def bars_height(table: ReproductionChanged) -> int:
    """Lines that the chart needs without blank ones: a legend, the bars and the axis."""
    return 1 + len(table.rows) * (1 + len(drawn_columns(table))) + 2


def drawn_columns(table: ReproductionChanged) -> tuple[str, ...]:
    """The columns that are drawn: those that the paper has figures of, as its Figure 1; all where there are none."""
    return table.columns[: sum(has_paper(table))] or table.columns


def bar_lines(table: ReproductionChanged, width: int, height: int) -> list[Content]:
    """Draw the chart as at most `height` lines of at most `width` cells."""
    room = min(WIDEST_LABEL, max((len(safe(row.label, WIDEST_LABEL)) for row in table.rows), default=0))
    track = width - room - VALUE_ROOM - 3
    if track < NARROWEST_TRACK:
        return [Content.styled(" no room for the chart", DIM).truncate(width, ellipsis=True)]
    gap = [Content("")] if bars_height(table) + len(table.rows) - 1 <= height else []
    lines = [legend_line(table, width), *gap]
    for index, row in enumerate(table.rows):
        lines += [*(gap if index and gap else []), *_method(row, len(drawn_columns(table)), room, track)]
    return [*lines[: height - 2], *_axis(room, track)]


def legend_line(table: ReproductionChanged, width: int) -> Content:
    """Name the colours, and the paper's tick."""
    names = ["natural", *(safe(column, 20) for column in drawn_columns(table))]
    shares = [
        Content.assemble(("■ ", column_color(index)), (f"{name}  ", "$foreground")) for index, name in enumerate(names)
    ]
    tick = Content.assemble((f"{TICK} ", "bold $foreground"), ("paper", DIM))
    return fit([Content.assemble(" ", *shares, tick), Content.assemble(" ", *shares)], width)


def bar_with_tick(ours: float | None, paper: float | None, width: int, color: str) -> Content:
    """Draw one bar of exactly `width` cells, in eighths of a cell, and the paper's tick on it; both lie in [0, 1]."""
    eighths = round(min(1.0, max(0.0, ours or 0.0)) * width * 8)
    full, rest = divmod(eighths, 8)
    cells = "█" * full + (EIGHTHS[rest] if rest else "")
    if ours is not None and not cells:
        cells = EIGHTHS[1]
    cells = cells.ljust(width)
    if paper is None:
        return Content.styled(cells, color)
    at = min(width - 1, int(min(1.0, max(0.0, paper)) * width))
    on_bar = f"bold $background on {color}" if at < full else "bold $foreground"
    return Content.assemble((cells[:at], color), (TICK, on_bar), (cells[at + 1 :], color))


def _method(row: ReproductionRow, num_columns: int, room: int, track: int) -> list[Content]:
    pairs = [(row.natural, row.paper_natural)]
    for index in range(num_columns):
        ours = row.robust[index] if index < len(row.robust) else None
        pairs.append((ours, row.paper_robust[index] if index < len(row.paper_robust) else None))
    lines = []
    for index, (ours, paper) in enumerate(pairs):
        label = safe(row.label, room) if index == 0 else ""
        style = column_color(index)
        drawn = bar_with_tick(ours, paper, track, style)
        value = (f"{points(ours):>{VALUE_ROOM - 1}}", f"bold {style}" if ours is not None else DIM)
        lines.append(Content.assemble((f" {label:<{room}} ", "$foreground"), drawn, value))
    return lines


def _axis(room: int, track: int) -> list[Content]:
    line, text = ["─"] * track, [" "] * (room + 2 + track + VALUE_ROOM)
    for mark in MARKS:
        column = min(track - 1, int(mark * track))
        line[column] = "┴"
        name = f"{100 * mark:.0f}" + ("%" if mark == MARKS[-1] else "")
        start = room + 2 + column - (len(name) // 2 if mark else 0)
        text[start : start + len(name)] = name
    return [Content.styled(" " * (room + 2) + "".join(line), DIM), Content.styled("".join(text), DIM)]
