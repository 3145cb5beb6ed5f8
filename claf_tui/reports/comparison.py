"""What `claf-tui compare` prints: tables for a terminal, Markdown, or JSON. Pure."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from claf_engine.evaluation.card_text import plain_text
from claf_tui.reports.fitted_table import FittedTable, Fold
from claf_tui.state.compared_run import Accuracy, ComparedRun
from claf_tui.state.comparison import NATURAL, Comparison, accuracy_at, figure_at, plain_row
from claf_tui.state.comparison_curves import curves_of
from claf_tui.state.comparison_tables import TextTable, comparison_tables
from claf_tui.words.run_colors import RUN_COLORS

STYLES = {
    "strong": "bold",
    "dim": "dim",
    "good": "green",
    "doubt": "yellow",
    "bad": "red",
    "live": "cyan",
    **{f"run{number}": f"bold {color}" for number, color in enumerate(RUN_COLORS)},
}
FOLDS = {
    "best checkpoint": Fold(16),
    "run": Fold(8, whole=16),
    "setting": Fold(16),
    "diagnostic": Fold(24),
    "at": Fold(8),
    "but": Fold(10),
}


def comparison_report(comparison: Comparison) -> list[RenderableType]:
    """A comparison for a terminal: its tables with their notes."""
    parts: list[RenderableType] = []
    for table in comparison_tables(comparison):
        parts += [Text(table.title, style="bold underline"), *_drawn(table)]
    return [*parts, *(Text(f"! {text}", style="yellow") for text in comparison.notices)]


def comparison_markdown(comparison: Comparison) -> str:
    """The same as Markdown."""
    lines: list[str] = []
    for table in comparison_tables(comparison):
        lines += [f"## {table.title}", "", *_markdown(table), ""]
    lines += [f"- {plain_text(text)}" for text in comparison.notices]
    return "\n".join(lines).rstrip() + "\n"


def comparison_record(comparison: Comparison, *, has_curves: bool = False) -> dict[str, Any]:
    """The same as a JSON object of plain values, with every pair.

    Args:
        comparison: of the runs.
        has_curves: tell the curves as well, each point on every axis that there is.
    """
    return {
        "runs": [_run_record(run, comparison, has_curves=has_curves) for run in comparison.runs],
        "settings": [
            {"name": row.name, "values": plain_row(row, comparison.runs), "changes_training": not row.is_silent}
            for row in comparison.settings
        ],
        "num_equal_settings": comparison.num_equal,
        "differences": [{**asdict(item), "is_noise": item.is_noise} for item in comparison.differences],
        "notices": list(comparison.notices),
    }


def _drawn(table: TextTable) -> Iterator[RenderableType]:
    if table.rows:
        rows = [tuple(Text(cell.text, style=STYLES.get(cell.tone, "")) for cell in row) for row in table.rows]
        folds = {name: fold for name, fold in FOLDS.items() if name in table.headings}
        if table.headings[0] == "setting":
            folds |= {name: Fold(8) for name in table.headings[1:]}
        yield FittedTable(table.headings, rows, table.optional, folds)
    else:
        yield Text(f" {table.empty}\n", style="dim")
    if table.notes and table.rows:
        yield Text("\n".join(f" {note}" for note in table.notes) + "\n", style="dim")


def _markdown(table: TextTable) -> Iterator[str]:
    if not table.rows:
        yield table.empty
        return
    yield f"| {' | '.join(plain_text(heading) for heading in table.headings)} |"
    yield f"|{'---|' * len(table.headings)}"
    for row in table.rows:
        yield f"| {' | '.join(plain_text(cell.text) for cell in row)} |"
    yield ""
    yield from (f"- {plain_text(note)}" for note in table.notes)


def _run_record(run: ComparedRun, comparison: Comparison, *, has_curves: bool) -> dict[str, Any]:
    measured = run.measured
    record: dict[str, Any] = {
        "key": run.key,
        "name": run.name,
        "directory": str(run.directory),
        "status": run.status,
        "begun": run.begun or None,
        "method": run.method,
        "data": run.data,
        "steps": run.steps,
        "epochs": run.epochs,
        "seconds": run.seconds,
        "units_per_image": run.units,
        "best_checkpoint": None if run.best is None else asdict(run.best),
        "split": None if measured is None else measured.split,
        "checkpoint": None if measured is None else measured.checkpoint,
        "classifier": None if measured is None else measured.classifier,
        "weights_sha256": None if measured is None else measured.weights_sha256,
        "natural": _accuracy_record(accuracy_at(run, NATURAL)),
        "robust": {name: _robust_record(run, name) for name in comparison.columns if name != NATURAL},
        "standing": run.standing,
        "card": run.card,
    }
    if has_curves:
        record["curves"] = [
            {"name": curve.name, "points": [_finite(point) for point in curve.points()]} for curve in curves_of(run)
        ]
    return record


def _robust_record(run: ComparedRun, column: str) -> dict[str, Any] | None:
    figure, found = figure_at(run, column), accuracy_at(run, column)
    return None if figure is None or found is None else {**asdict(figure), **(_accuracy_record(found) or {})}


def _accuracy_record(found: Accuracy | None) -> dict[str, Any] | None:
    if found is None:
        return None
    interval = None if found.low is None else [found.low, found.high]
    return {"accuracy": found.share, "num_examples": found.num_examples, "interval": interval}


def _finite(point: dict[str, float | None]) -> dict[str, float | None]:
    return {name: value if value is None or math.isfinite(value) else None for name, value in point.items()}
