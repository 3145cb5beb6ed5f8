"""A table of the paper beside ours, filling in row by row, and at the same time the queue of what is still to do."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from textual.content import Content
from textual.widget import Widget

from claf_engine.events import ReproductionChanged, ReproductionRow
from claf_tui.state.reproduction import Scene, best_index, current_fraction, row_seconds
from claf_tui.widgets.chart import PALETTE, robust_color
from claf_tui.widgets.glyphs import spinner
from claf_tui.words import figures
from claf_tui.words.safe_text import ELLIPSIS, safe

MISSING = "—"
GLYPH_ROOM, WORD_ROOM, TIME_ROOM, SPREAD_ROOM, UNITS_ROOM, AUDIT_ROOM = 3, 13, 8, 8, 8, 9
RUN_GAP, LEAST_RUNS = 3, 24
"""Cells between the figures and the names of runs, and room for a name that comes later, so that nothing moves."""
LEGIBLE_LABEL, WIDEST_LABEL = 16, 28
"""Cells of a method's name that are worth more than another column, and the most that are shown."""
REASON_INDENT, MAX_REASON_LINES = "     ", 2
DIM = "$foreground 60%"
VERDICT_STYLES = {"passes": "$success", "warns": "$warning", "fails": "bold $error"}
STATUS_STYLES = {
    "waiting": ("○", DIM),
    "running": ("▶", "bold $accent"),
    "evaluating": ("▶", "bold $secondary"),
    "finished": ("✔", "$success"),
    "reused": ("↺", "$secondary"),
    "failed": ("✘", "bold $error"),
}


@dataclass(frozen=True)
class Layout:
    """Which columns there is room for, and how wide they are.

    The groups of the paper's own columns come first.

    Attributes:
        label: cells of the method's name.
        gap: cells between groups of figures; the best figure is marked where there are three.
        has_words: the status is written out.
        has_times: time spent or estimated is shown.
        has_differences: ours minus the paper's is shown.
        has_spread: the difference between seeds is shown.
        groups: for each group of figures, the first being natural accuracy: the cells of its name where the paper has
            no figures, so that it holds ours alone; 0 where it has.
        runs: cells of the names of the runs, at the right; 0 leaves them out.
        has_units: what training spends on an image is shown.
        has_audit: the verdict on its network is shown.
    """

    label: int
    gap: int
    has_words: bool
    has_times: bool
    has_differences: bool
    has_spread: bool
    groups: tuple[int, ...]
    runs: int = 0
    has_units: bool = False
    has_audit: bool = False

    @property
    def rooms(self) -> tuple[int, ...]:
        """Cells of every group of figures, without the gap before it."""
        return tuple(room or self.group for room in self.groups)

    @property
    def group(self) -> int:
        """Cells of a group that holds figures of the paper."""
        return 17 if self.has_differences else 11

    @property
    def lead(self) -> int:
        """Cells before the first group."""
        words = WORD_ROOM if self.has_words else 0
        return GLYPH_ROOM + self.label + words + (TIME_ROOM if self.has_times else 0)

    @property
    def width(self) -> int:
        """Cells of a line."""
        rooms = ((self.has_spread, SPREAD_ROOM), (self.has_units, UNITS_ROOM), (self.has_audit, AUDIT_ROOM))
        tail = sum(room for is_shown, room in rooms if is_shown)
        return self.lead + sum(self.gap + room for room in self.rooms) + tail + self.runs


def choose_layout(table: ReproductionChanged, width: int) -> Layout:
    """Choose the richest layout that fits into `width` cells; columns at the right go last of all."""
    longest = max((len(safe(row.label, WIDEST_LABEL)) for row in table.rows), default=0)
    has_spread = any(row.spread is not None for row in table.rows)
    columns = zip(table.columns, has_paper(table), strict=True)
    is_ours = all(row.paper_natural is None for row in table.rows) and not any(has_paper(table))
    all_of = (len("natural") if is_ours else 0, *(0 if is_paper else len(_compact(name)) for name, is_paper in columns))
    runs = RUN_GAP + max((len(_runs(row)) for row in table.rows), default=0)
    rich = replace(
        Layout(0, 4, True, True, True, has_spread, all_of, max(runs, LEAST_RUNS)),
        has_units=any(row.units is not None for row in table.rows),
        has_audit=any(row.audit for row in table.rows),
    )
    bare = Layout(0, 1, False, False, False, False, all_of)
    options = [
        rich,
        replace(rich, runs=0),
        replace(rich, runs=0, gap=3, has_spread=False),
        Layout(0, 3, True, True, True, False, all_of),
        Layout(0, 2, False, True, True, False, all_of),
        Layout(0, 1, False, True, True, False, all_of),
        Layout(0, 1, False, False, True, False, all_of),
        replace(bare, has_units=rich.has_units, has_audit=rich.has_audit),
        *(replace(bare, groups=all_of[:count]) for count in range(len(all_of), 0, -1)),
    ]
    needed = max(min(longest, LEGIBLE_LABEL), len("method"))
    chosen = next((option for option in options if option.width + needed <= width), options[-1])
    return replace(chosen, label=max(needed, min(longest, width - chosen.width)))


def has_paper(table: ReproductionChanged) -> list[bool]:
    """For each column, whether the paper has a figure there; those that it has come first."""
    return [any(_at(row.paper_robust, place) is not None for row in table.rows) for place in range(len(table.columns))]


class OfTable(Widget):
    """Draws what depends on the table alone, anew when it changes; nothing before it is known."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._table: ReproductionChanged | None = None

    def show(self, scene: Scene) -> None:
        """Show the table of this scene from now on."""
        if scene.table != self._table:
            self._table = scene.table
            self.refresh()

    def render(self) -> Content:
        """Draw the lines."""
        return Content("") if self._table is None else Content("\n").join(self.lines(self._table))

    def lines(self, table: ReproductionChanged) -> list[Content]:
        """Write the table as lines that fit."""
        raise NotImplementedError


class TableHead(OfTable):
    """The two lines over the table: the columns, and paper, ours and difference under each."""

    def lines(self, table: ReproductionChanged) -> list[Content]:
        """Write both lines."""
        return head_lines(table, choose_layout(table, self.size.width))


class TableBody(Widget):
    """One line for each method, and a second one that says why it failed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._scene = Scene()

    def show(self, scene: Scene) -> None:
        """Show this scene from now on; the height follows the number of lines."""
        drawn, self._scene = self._scene, scene
        width = self.size.width
        if num_lines(drawn.table, width) != num_lines(scene.table, width):
            self.refresh(layout=True)
        self.refresh()

    @property
    def current_line(self) -> int | None:
        """The line of the row that is being worked on."""
        table = self._scene.table
        if table is None or table.current is None:
            return None
        return sum(1 + len(reason_lines(row, self.size.width)) for row in table.rows[: table.current])

    def get_content_height(self, _container: object, _viewport: object, width: int) -> int:
        """As many lines as the table has."""
        return num_lines(self._scene.table, width)

    def render(self) -> Content:
        """Draw the lines."""
        return Content("\n").join(body_lines(self._scene, self.size.width))


def num_lines(table: ReproductionChanged | None, width: int) -> int:
    """Count the lines of a table's body; before it is known there is one."""
    return sum(1 + len(reason_lines(row, width)) for row in table.rows) if table else 1


def reason_lines(row: ReproductionRow, width: int) -> list[str]:
    """Say under a row why it failed, in at most two lines."""
    if row.status != "failed":
        return []
    room = max(20, width - len(REASON_INDENT) - 1)
    text = safe(row.reason or "no reason was given", 600)
    lines = textwrap.wrap(text, room, max_lines=MAX_REASON_LINES, placeholder=ELLIPSIS)
    return [f"{REASON_INDENT}{line}" if index else f"   └ {line}" for index, line in enumerate(lines)]


def head_lines(table: ReproductionChanged, layout: Layout) -> list[Content]:
    """Write the two lines over the table."""
    num_own = sum(not room for room in layout.groups[1:])
    names = ["natural", *column_names(table.columns[:num_own], layout.group)]
    names += [_compact(name) for name in table.columns[num_own:]]
    top: list[tuple[str, str] | str] = [" " * layout.lead]
    for index, (room, name) in enumerate(zip(layout.rooms, names, strict=False)):
        rule = "─" * ((room - len(name) - 2) // 2)
        title = f"{rule} {name} {rule}".ljust(room, "─") if rule else name.center(room)
        top += [" " * layout.gap, (title, column_color(index))]
    below = (
        "".ljust(GLYPH_ROOM) + "method".ljust(layout.label) + (f"{'  status':<{WORD_ROOM}}" if layout.has_words else "")
    )
    below += f"{'time':>{TIME_ROOM}}" if layout.has_times else ""
    titles = f"{'paper':>5}{'ours':>6}" + (f"{'diff':>6}" if layout.has_differences else "")
    below += "".join(" " * layout.gap + ("ours".rjust(room) if room else titles) for room in layout.groups)
    below += f"{'spread':>{SPREAD_ROOM}}" if layout.has_spread else ""
    below += f"{'units':>{UNITS_ROOM}}" if layout.has_units else ""
    below += f"{'audit':>{AUDIT_ROOM}}" if layout.has_audit else ""
    below += " " * RUN_GAP + "run" if layout.runs else ""
    return [Content.assemble(*top), Content.styled(below, DIM)]


def column_names(columns: Sequence[str], room: int) -> list[str]:
    """Name the columns in `room` cells each: in full, or of "PGD-10 at 8/255" the part that tells them apart."""
    names = [safe(column, 40) for column in columns]
    if all(len(name) <= room for name in names):
        return names
    ends = [name.rpartition(" at ")[2] for name in names]
    starts = [name.partition(" at ")[0] for name in names]
    return [safe(name, room) for name in (ends if len(set(ends)) == len(ends) else starts)]


def _compact(name: str) -> str:
    """The name of a column in few cells: "PGD-40@16" of "PGD-40 at 16/255"."""
    name = safe(name, 40)
    for long, short in ((" at ", "@"), ("/255", ""), ("AutoAttack", "AA"), (" in pixels", "px")):
        name = name.replace(long, short)
    return name


def body_lines(scene: Scene, width: int) -> list[Content]:
    """Write the table as lines of at most `width` cells."""
    table = scene.table
    if table is None:
        return [Content.styled(" the table appears when its rows are known", DIM).truncate(width, ellipsis=True)]
    layout = choose_layout(table, width)
    columns = [[row.natural for row in table.rows]]
    columns += [[_at(row.robust, index) for row in table.rows] for index in range(len(table.columns))]
    best = [best_index(column) for column in columns]
    lines: list[Content] = []
    for index, row in enumerate(table.rows):
        marks = [place == index for place in best]
        line = Content.assemble(*_lead(scene, index, layout), *_groups(row, marks, layout), *_tail(row, layout))
        is_current = index == table.current and not scene.has_ended
        lines.append(
            line.pad_right(max(0, width - line.cell_length)).stylize("on $primary 15%") if is_current else line
        )
        lines += [Content.styled(line, "$error") for line in reason_lines(row, width)]
    return [line.truncate(width, ellipsis=True) for line in lines]


def points(fraction: float | None) -> str:
    """Write a fraction as percentage points without a unit."""
    return MISSING if fraction is None else f"{100 * fraction:.1f}"


def difference(ours: float | None, paper: float | None) -> tuple[str, str]:
    """Write ours minus the paper's in percentage points, and choose its style: short of it, about equal, above."""
    if ours is None or paper is None:
        return MISSING, DIM
    value = round(100 * (ours - paper), 1) or 0.0
    style = "$success" if value >= 1 else "$warning" if value <= -1 else "$foreground"
    return f"{value:+.1f}" if value else "0.0", style


def column_color(index: int) -> str:
    """The colour of a group of figures: natural first, then as the charts have them."""
    return PALETTE[0] if index == 0 else robust_color(index - 1)


def status_of(scene: Scene, index: int) -> tuple[str, str, str]:
    """Choose glyph, style and word for a row as it stands."""
    table = scene.table
    if table is None:
        return "○", DIM, "waiting"
    status = table.rows[index].status
    glyph, style = STATUS_STYLES.get(status, STATUS_STYLES["waiting"])
    if status not in {"running", "evaluating"}:
        return glyph, style, status
    if scene.has_ended:
        return "■", "$warning", "cut short"
    if scene.moment.word == "PAUSED":
        return "‖", "bold $warning", "paused"
    training = f"running {100 * current_fraction(scene):.0f}%" if scene.is_training else "starting"
    return spinner(scene.moment.frame), style, training if status == "running" else status


def _lead(scene: Scene, index: int, layout: Layout) -> Iterator[tuple[str, str]]:
    row = scene.table.rows[index] if scene.table else None
    if row is None:
        return
    glyph, style, word = status_of(scene, index)
    is_dim = row.status == "waiting"
    yield f" {glyph} ", style
    yield safe(row.label, layout.label).ljust(layout.label), DIM if is_dim else "bold $foreground"
    if layout.has_words:
        yield f"  {word}".ljust(WORD_ROOM), DIM if is_dim else style
    if layout.has_times:
        seconds = row_seconds(scene, index)
        text = MISSING if seconds is None else figures.duration(seconds)
        yield f"{'~' if is_dim and seconds is not None else ''}{text}".rjust(TIME_ROOM), DIM


def _groups(row: ReproductionRow, marks: list[bool], layout: Layout) -> Iterator[tuple[str, str]]:
    pairs = [(row.paper_natural, row.natural)]
    pairs += [(_at(row.paper_robust, index), _at(row.robust, index)) for index in range(len(marks) - 1)]
    for index, (room, (paper, ours)) in enumerate(zip(layout.groups, pairs, strict=False)):
        yield " " * layout.gap, DIM
        if not room:
            yield points(paper).rjust(5), DIM
        is_best, is_tied = marks[index], index < len(row.near_best) and row.near_best[index]
        sign = "★" if is_best else "≈" if is_tied else ""
        color = f"bold {column_color(index)}" if is_best else "$foreground" if ours is not None else DIM
        yield f"{sign}{points(ours)}".rjust(room or 6), color
        if layout.has_differences and not room:
            text, style = difference(ours, paper)
            yield text.rjust(6), style


def _tail(row: ReproductionRow, layout: Layout) -> Iterator[tuple[str, str]]:
    if layout.has_spread:
        yield points(row.spread).rjust(SPREAD_ROOM), DIM
    if layout.has_units:
        yield figures.units(row.units).rjust(UNITS_ROOM), DIM
    if layout.has_audit:
        yield (row.audit or MISSING).rjust(AUDIT_ROOM), VERDICT_STYLES.get(row.audit, DIM)
    if layout.runs:
        yield " " * RUN_GAP + _runs(row), DIM


def _runs(row: ReproductionRow) -> str:
    others = f" and {len(row.runs) - 1} more" if len(row.runs) > 1 else ""
    return f"{safe(row.runs[0], 40)}{others}" if row.runs else ""


def _at(values: tuple[float | None, ...], index: int) -> float | None:
    return values[index] if index < len(values) else None
