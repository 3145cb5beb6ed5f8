"""A run as one row of the list of runs, and its columns. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from textual.content import Content

from claf_engine.accuracy.intervals import half_width
from claf_engine.runs.overview import Overview
from claf_tui.state.run_order import COLUMNS, Order
from claf_tui.widgets.chart import PALETTE, robust_color
from claf_tui.widgets.glyphs import bar, spinner
from claf_tui.widgets.machine_panel import SPARKS
from claf_tui.words import figures
from claf_tui.words.attack_words import DOUBTED, NO_BALL, PIXEL, radius_text
from claf_tui.words.safe_text import ELLIPSIS, safe

MARK, NO_MARK = "● ", "  "
DIM = "$foreground 60%"
STATES = {
    "running": (" ", "$accent"),
    "starting": ("○", "$accent"),
    "paused": ("‖", "$warning"),
    "stopping": ("■", "$warning"),
    "finished": ("✔", "$success"),
    "stopped": ("■", DIM),
    "interrupted": ("!", "$warning"),
    "diverged": ("✘", "$error"),
    "failed": ("✘", "$error"),
    "imported": ("↧", DIM),
}
"""The sign of each state and its colour; that of a running one turns."""
UNKNOWN_STATE = ("?", DIM)
SILENT_STATE = ("!", "bold $error")
"""Of a live run that gives no sign of life."""
LONGEST_STATE = 11
VAGUE = 0.1
"""Half a width of an interval beyond which an accuracy is not shown as if it were sure."""
MIN_SPAN = 0.02
"""Of accuracies, below which a line of them is drawn flat."""


class RowColumn(NamedTuple):
    """One column: its name, its cells, and whether it holds numbers, which stand on the right."""

    name: str
    width: int
    is_number: bool = False


BASE = (
    RowColumn("state", 2 + LONGEST_STATE),
    RowColumn("name", 14),
    RowColumn("method", 7),
    RowColumn("data", 7),
    RowColumn("age", 6, is_number=True),
    RowColumn("progress", 8),
    RowColumn("robust", 11),
    RowColumn("trend", 5),
)
"""What fits into 80 cells."""
GROWTH = (("robust", 13), ("name", 20), ("trend", 8), ("data", 9), ("method", 8), ("robust", 15), ("progress", 12))
MORE = (
    (RowColumn("natural", 7, is_number=True), 4),
    (RowColumn("where", 30), 4),
    (RowColumn("tags", 16), 6),
    (RowColumn("note", 20), 7),
)
"""What a wider list adds, each at the place where it comes to stand from the right: after it come so many columns."""
LATER = (("name", 34), ("robust", 22), ("data", 16), ("trend", 16), ("note", 48), ("method", 12), ("name", 60))
GAP = 1


def row_columns(room: int) -> tuple[RowColumn, ...]:
    """The columns that `room` cells are enough for, wider ones where there is more."""
    columns = list(BASE)
    left = room - len(MARK) - sum(column.width + GAP for column in columns) + GAP
    left = _grown(columns, GROWTH, left)
    for column, _ in MORE:
        if left < column.width + GAP:
            break
        place = len(columns) - 2 if column.name == "natural" else len(columns)
        columns.insert(place, column)
        left -= column.width + GAP
    _grown(columns, LATER, left)
    return tuple(columns)


def _grown(columns: list[RowColumn], wishes: Sequence[tuple[str, int]], left: int) -> int:
    """Widen columns in this order as far as there is room; gives the room that is left."""
    for name, width in wishes:
        for place, column in enumerate(columns):
            if column.name == name and (more := min(left, width - column.width)) > 0:
                columns[place] = column._replace(width=column.width + more)
                left -= more
    return left


def heading(columns: Sequence[RowColumn], order: Order) -> Content:
    """The line above the list; the column that is sorted by has an arrow, and each can be clicked."""
    parts: list[Content | str] = [NO_MARK]
    for column in columns:
        is_sorted = column.name == order.column
        text = f"{column.name} {'▲' if order.is_reversed else '▼'}" if is_sorted else column.name
        text = text[: column.width]
        filled = text.rjust(column.width) if column.is_number else text.ljust(column.width)
        style = "bold $accent" if is_sorted else "bold $foreground 70%"
        parts += [Content.styled(filled, style), " " * GAP]
    return Content.assemble(*parts[:-1])


def column_at(columns: Sequence[RowColumn], x: int) -> str | None:
    """The name of the column that lies at a cell of the line, if one can be sorted by."""
    left = len(MARK)
    for column in columns:
        if left <= x < left + column.width + GAP:
            return column.name if column.name in COLUMNS else None
        left += column.width + GAP
    return None


@dataclass(frozen=True)
class RowLook:
    """How a row is shown besides what it says.

    Attributes:
        now: seconds since the epoch.
        frame: which picture of the spinner.
        is_silent: it should have given a sign of life long ago.
    """

    now: float = 0.0
    frame: int = 0
    is_marked: bool = False
    is_silent: bool = False


def row(run: Overview, columns: Sequence[RowColumn], look: RowLook) -> Content:
    """One run as a line, cell by cell under its heading."""
    parts: list[Content | str] = [Content.styled(MARK if look.is_marked else NO_MARK, "bold $accent")]
    for column in columns:
        cell = _cell(run, column, look)
        gap = " " * max(0, column.width - cell.cell_length)
        parts += [gap, cell] if column.is_number else [cell, gap]
        parts.append(" " * GAP)
    line = Content.assemble(*parts[:-1])
    return line.stylize("dim") if run.digest.labels.is_archived else line


def _cell(run: Overview, column: RowColumn, look: RowLook) -> Content:
    """What a run has under a heading."""
    digest, width = run.digest, column.width
    if column.name == "state":
        return state_cell(run, look.frame, is_silent=look.is_silent)
    if column.name == "progress":
        return _progress(run, width)
    if column.name == "robust":
        return robust_cell(run, width)
    natural = run.measured.natural
    style = "$warning" if run.status == "interrupted" else DIM
    cells = {
        "name": (middle_cut(short_name(run.name), width), "bold" if run.is_live else "$foreground"),
        "method": (middle_cut(digest.method, width), DIM),
        "data": (middle_cut(digest.data, width), DIM),
        "age": (short_age(digest.begun, look.now, width), DIM),
        "natural": (figures.percent(natural), DIM if natural is None or _is_vague(run) else PALETTE[0]),
        "trend": (sparkline(run.trend, width), robust_color(0)),
        "where": (safe(where(run), width), style),
        "tags": (safe(" ".join(digest.labels.tags), width), "$secondary"),
        "note": (safe(one_line(digest.labels.note), width), DIM),
    }
    return Content.styled(*cells[column.name])


def state_cell(run: Overview, frame: int, *, is_silent: bool = False) -> Content:
    """The sign of a state and its word; a live run that is silent does not turn."""
    if is_silent and run.is_live:
        return Content.styled(f"{SILENT_STATE[0]} silent", SILENT_STATE[1])
    sign, style = STATES.get(run.status, UNKNOWN_STATE)
    if run.status == "running":
        sign = spinner(frame)
    return Content.styled(f"{sign} {safe(run.status, LONGEST_STATE)}", style)


def _progress(run: Overview, width: int) -> Content:
    """A bar and the percentage; of a finished run the steps that it took."""
    fraction = run.digest.fraction
    if run.status in {"finished", "imported"} or fraction is None:
        steps = figures.short_count(run.digest.step) if run.digest.step else figures.UNKNOWN
        return Content.styled(f"{steps} steps" if run.digest.step and len(steps) + 6 <= width else steps, DIM)
    style = "$accent" if run.is_live else DIM
    # Rounded down, so that a run that goes on is never shown as done.
    return Content.assemble(bar(fraction, width - 4, style), (f"{int(100 * fraction):3d}%", style))


def robust_cell(run: Overview, width: int) -> Content:
    """Robust accuracy, how sure it is, its radius and its marks; where room is short the marks go last.

    One that is sure to `VAGUE` or less is not bold, because few images are no figure to choose by.
    """
    figure = run.measured.robust
    if figure is None:
        return Content.styled(figures.UNKNOWN, DIM)
    accuracy = figures.percent(figure.accuracy)
    marks = " ".join(filter(None, ("" if figure.space == PIXEL else NO_BALL, DOUBTED if figure.notice else "")))
    radius = radius_text(figure.epsilon, figure.norm, figure.space, figure.decides, figure.notice)
    sure = figures.plus_minus(figure.accuracy, figure.num_examples)
    options = [f"{sure} {radius}".strip(), radius, f"{safe(figure.epsilon, 12)} {marks}".strip(), marks]
    told = next((option for option in options if len(accuracy) + 1 + len(option) <= width), DOUBTED if marks else "")
    style = "$warning" if marks else DIM
    weight = DIM if _is_vague(run) else f"bold {robust_color(0)}"
    return Content.assemble((accuracy, weight), (f" {told}" if told else "", style))


def _is_vague(run: Overview) -> bool:
    """Whether the figures of a run are of so few images that they are no figures to choose by."""
    figure = run.measured.robust
    if figure is None or not figure.num_examples:
        return False
    return half_width(figure.accuracy, figure.num_examples) > VAGUE


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw accuracies as `width` characters at most, from their lowest to their highest; of many one of each part."""
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    shown = [values[(place + 1) * len(values) // count - 1] for place in range(count)]
    low, span = min(shown), max(MIN_SPAN, max(shown) - min(shown))
    return "".join(SPARKS[round((len(SPARKS) - 1) * (value - low) / span)] for value in shown)


def where(run: Overview) -> str:
    """Where a run is, or was when it was interrupted, in a few words."""
    digest = run.digest
    if run.status == "interrupted":
        newest = "no checkpoint" if run.newest is None else f"checkpoint {figures.count(run.newest)}"
        return f"at {figures.count(digest.step)}, {newest}"
    if run.is_live and digest.phase:
        epoch = f"epoch {digest.epoch} · " if digest.epoch else ""
        return f"{epoch}{digest.phase}"
    return digest.reason


def short_name(folder: str) -> str:
    """What a run was called, without the date that its folder begins with."""
    parts = folder.split("-", 2)
    is_dated = len(parts) == 3 and parts[0].isdigit() and len(parts[0]) == 8 and parts[1].isdigit()
    return parts[2] if is_dated else folder


def middle_cut(text: str, width: int) -> str:
    """Clean a text and cut it to `width` characters in its middle, because names of one search differ at their ends."""
    cleaned = safe(text, 400)
    if len(cleaned) <= width:
        return cleaned
    head = (width - 1) // 2
    return f"{cleaned[:head]}{ELLIPSIS}{cleaned[len(cleaned) - (width - 1 - head) :]}" if width > 1 else ELLIPSIS


def short_age(begun: float, now: float, width: int) -> str:
    """How long ago a run was begun, as in "5 min"."""
    text = figures.age(begun, now).removesuffix(" ago")
    return ("now" if text == "just now" else text)[:width]


def one_line(text: str) -> str:
    """A text without line breaks."""
    return " ".join(text.split())
