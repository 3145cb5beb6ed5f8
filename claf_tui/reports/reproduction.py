"""A reproduced table as lines: while it is filled, and when it is done."""

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from claf_engine import events as ev
from claf_engine.terms.pixels import format_levels
from claf_tui.reports import output, printers
from claf_tui.words import figures
from claf_tui.words.attack_words import DOUBTED, MAX_NOTICE
from claf_tui.words.safe_text import safe

TIED = "≈"
UNITS = "units: forward passes that training spends on each image; a full backward pass counts 2"
NO_BALL = "released-code space: figures are not accuracy in an epsilon-ball, but for those in pixels"


ENDED = {"finished", "reused", "failed"}


class ReproductionPrinter:
    """Lines for a person: those of the runs, and one whenever a row begins, is being measured, or ends."""

    def __init__(self) -> None:
        self._show_run = printers.PlainPrinter()
        self._told: dict[int, str] = {}

    def __call__(self, event: ev.Event) -> None:
        """Write what there is to say about one event."""
        self._show_run(event)
        if not isinstance(event, ev.ReproductionChanged):
            return
        for index, row in enumerate(event.rows):
            if row.status != self._told.get(index, "waiting"):
                self._told[index] = row.status
                output.note(f"[{index + 1}/{len(event.rows)}] {row_line(row, event.columns)}")


def result_tables(event: ev.ReproductionChanged) -> list[RenderableType]:
    """The finished table: the paper's figures, ours, and the difference in points; then how each row stands."""
    table = plain_table("row", "", "natural", *(safe(column, 40) for column in event.columns))
    of_rows = plain_table("row", "status", "moved", "units", "spread", "audit", "runs")
    for row in event.rows:
        theirs, ours = (row.paper_natural, *row.paper_robust), (row.natural, *row.robust)
        differences = [difference(mine, paper) for mine, paper in zip(ours, theirs, strict=True)]
        shown = [f"{TIED if is_tied else ''}{figures.percent(value)}" for value, is_tied in with_ties(row)]
        table.add_row(safe(row.label), "paper", *map(figures.percent, theirs), style="dim")
        table.add_row("", "ours", *shown, style="bold")
        table.add_row("", "diff", *differences)
        of_rows.add_row(*about_row(row))
    title = f"{safe(event.title)}, scale {event.scale}, compute {event.compute}"
    told: list[RenderableType] = [Text(title), table, of_rows, Text(UNITS, style="dim")]
    if any(any(row.near_best) for row in event.rows):
        told.append(Text(f"{TIED} the best of its column is ahead by no more than noise", style="dim"))
    if event.space != "pixel":
        told.append(Text(f"{NO_BALL}; `moved` is how far it took an image at most", style="yellow"))
    doubts = dict.fromkeys(notice for row in event.rows for notice in row.notices)
    told += [Text(f"{DOUBTED} {safe(notice, MAX_NOTICE)}", style="yellow") for notice in doubts]
    return [*told, Text(f"folder: {safe(event.directory, 400)}")]


def about_row(row: ev.ReproductionRow) -> list[str]:
    """How a row stands, how far its attacks moved images, what it cost, its verdict, and its runs or why it failed."""
    moved = figures.UNKNOWN if row.largest_distance is None else format_levels(row.largest_distance)
    spread = figures.UNKNOWN if row.spread is None else f"{100 * row.spread:.1f}"
    runs = safe(row.reason, 200) or ", ".join(safe(name, 60) for name in row.runs)
    audit = row.audit or figures.UNKNOWN
    return [safe(row.label), row.status, moved, figures.units(row.units), spread, audit, runs]


def with_ties(row: ev.ReproductionRow) -> list[tuple[float | None, bool]]:
    """Natural accuracy and every column's, each with whether the best of its column is ahead by noise alone."""
    values = (row.natural, *row.robust)
    return list(zip(values, row.near_best or (False,) * len(values), strict=True))


def row_line(row: ev.ReproductionRow, columns: tuple[str, ...]) -> str:
    """One row as one line."""
    name = f"{safe(row.label)}: {row.status}"
    if row.status == "failed":
        return f"{name}: {safe(row.reason, 400)}"
    if row.status not in ENDED:
        return name
    found = zip(("natural", *columns), (row.natural, *row.robust), (row.paper_natural, *row.paper_robust), strict=True)
    told = [
        f"{safe(title, 40)} {figures.percent(ours)}" + ("" if paper is None else f" (paper {figures.percent(paper)})")
        for title, ours, paper in found
    ]
    return f"{name}: " + ", ".join([*told, *([f"audit {row.audit}"] if row.audit else [])])


def difference(ours: float | None, paper: float | None) -> str:
    """Ours minus the paper's, in points."""
    return figures.UNKNOWN if ours is None or paper is None else f"{100 * (ours - paper):+.1f}"


def plain_table(*headings: str) -> Table:
    """A table of these columns, whose cells wrap where it is narrow."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
