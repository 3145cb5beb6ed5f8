"""The finished table as files: Markdown for people, CSV and JSON for programs, bars like those of Figure 1."""

import csv
import io
import json
import platform
from dataclasses import asdict
from typing import Any

from claf_engine.accuracy.intervals import CONFIDENCE
from claf_engine.compute.cores import usable_cores
from claf_engine.compute.device import accelerators
from claf_engine.evaluation.evaluate import figure_record
from claf_engine.reproduce.bars_svg import Bar, Group, bar_chart
from claf_engine.reproduce.board import Board
from claf_engine.reproduce.comparing import Comparison
from claf_engine.reproduce.lines import NATURAL, Line, SeedResult, without_folders
from claf_engine.reproduce.markdown import as_markdown
from claf_engine.reproduce.measuring import Measurement
from claf_engine.runs import versions
from claf_engine.runs.durable import write_atomically
from claf_engine.terms.errors import RunError

HEADINGS = (
    "table",
    "method",
    "label",
    "column",
    "paper",
    "ours",
    "difference_points",
    "space",
    "status",
    "run",
    "units",
    "low",
    "high",
    "spread",
    "near_best",
    "images",
    "seeds",
    "audit",
    "system",
)


def write_report(board: Board) -> None:
    """Write `reproduction.md`, `.csv`, `.json` and `.svg` into the reproduction's folder, however full the table is.

    Raises:
        RunError: a file cannot be written.
    """
    texts = {
        "json": json.dumps(record(board), indent=1, allow_nan=False),
        "csv": as_csv(board),
        "md": as_markdown(board, machine()),
        "svg": bar_chart(chart_title(board), groups(board)),
    }
    for suffix, text in texts.items():
        path = board.request.directory / f"reproduction.{suffix}"
        try:
            write_atomically(path, text.encode("utf-8", "replace"))
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}; make room and reproduce again") from error


def record(board: Board) -> dict[str, Any]:
    """The table as a JSON object; its keys are stable, and no path of this machine is in it."""
    request = board.request
    return {
        "table": board.table.name,
        "title": board.table.title,
        "scale": request.scale,
        "space": request.space,
        "is_epsilon_ball": request.space == "pixel",
        "seeds": request.seeds,
        "compute": request.compute,
        "settings": list(request.settings),
        "confidence": CONFIDENCE,
        "columns": [column.title for column in request.columns],
        "rows": [row_record(line) for line in board.lines],
        "pairs": [pair_record(board, item) for item in board.comparisons()],
        "machine": machine(),
        "versions": versions(),
    }


def row_record(line: Line) -> dict[str, Any]:
    """One row: means over seeds, the paper's figures, differences in points, and where each figure is from."""
    (natural, *robust), (paper_natural, *paper_robust) = line.accuracies(), line.paper()
    runs = [seed.run.name for seed in line.seeds]
    return {
        "method": line.config.method,
        "label": line.row.label,
        "system": line.row.system or "none",
        "status": line.status,
        "reason": line.reason,
        "natural_accuracy": natural,
        "natural_interval": _listed(line.interval(NATURAL)),
        "robust": [_robust_record(line, column) for column in range(len(line.columns))],
        "paper": {"natural_accuracy": paper_natural, "robust": paper_robust, "note": line.row.note},
        "difference_points": {
            "natural": points(natural, paper_natural),
            "robust": [points(ours, theirs) for ours, theirs in zip(robust, paper_robust, strict=True)],
        },
        "spread": line.spread(),
        "audit": line.verdict(),
        "run": runs[0] if runs else None,
        "runs": [_seed_record(seed) for seed in line.seeds],
        "seconds": None if line.seconds is None else round(line.seconds, 1),
        "units_per_image": round(line.units, 2),
        "epochs": line.epochs,
        "notices": list(line.notices()),
    }


def pair_record(board: Board, item: Comparison) -> dict[str, Any]:
    """How two rows differ under one attack, the first minus the second; accuracies are fractions."""
    pair = item.pair
    return {
        "first": board.lines[item.first].row.label,
        "second": board.lines[item.second].row.label,
        "column": "natural" if item.column == NATURAL else board.request.columns[item.column].title,
        "difference": round(pair.difference, 6),
        "interval": [round(pair.low, 6), round(pair.high, 6)],
        "only_first": list(pair.only_first),
        "only_second": list(pair.only_second),
        "p_values": [float(f"{value:.4g}") for value in pair.p_values],
        "is_noise": pair.is_noise,
    }


def points(ours: float | None, paper: float | None) -> float | None:
    """Ours minus the paper's, in points of 100."""
    return None if ours is None or paper is None else round(100 * (ours - paper), 2)


def as_csv(board: Board) -> str:
    """One line for each row and column, the natural one included."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADINGS)
    titles = ["natural", *(column.title for column in board.request.columns)]
    spaces = ["", *(column.space for column in board.request.columns)]
    near = board.ties()
    for index, line in enumerate(board.lines):
        run = line.seeds[0].run.name if line.seeds else ""
        paper, ours = line.paper(), line.accuracies()
        for place, title in enumerate(titles):
            low, high = line.interval(place - 1) or (None, None)
            values = [paper[place], ours[place], points(ours[place], paper[place])]
            about = [spaces[place], line.status, run, f"{line.units:.4g}"]
            measured = line.measurements(place - 1)
            images = next((found.robust.num_examples for found in measured.values()), None)
            sure = [
                low,
                high,
                line.spread_of(place - 1),
                near[place][index],
                images,
                len(measured),
                line.verdict(),
                line.row.system,
            ]
            told = [*values, *about, *sure]
            shown = ["" if value is None else value for value in told]
            writer.writerow([board.table.name, line.config.method, line.row.label, title, *shown])
    return text.getvalue()


def machine() -> str:
    """What the figures were made on, without a name that is anybody's business."""
    return ", ".join([platform.machine(), f"{usable_cores()} cores", *accelerators()])


def chart_title(board: Board) -> str:
    """What the bar chart is headed with; figures that are of no epsilon-ball say so."""
    no_ball = "" if board.request.space == "pixel" else ", released-code space: no epsilon-ball"
    return f"{board.table.name}, scale {board.request.scale}{no_ball}"


def groups(board: Board) -> list[Group]:
    """The bars of every row: natural accuracy, and the table's own attacks."""
    titles = ["natural", *(column.title for column in board.table.columns)]
    return [
        Group(
            line.row.label,
            tuple(Bar(*bar) for bar in zip(titles, line.accuracies(), line.paper(), strict=False)),
        )
        for line in board.lines
    ]


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _robust_record(line: Line, column: int) -> dict[str, Any]:
    """One column of a row: the mean over seeds; the attack is the same for all of them."""
    measured = [found.robust for found in line.measurements(column).values()]
    if not measured:
        return {"robust_accuracy": None, "interval": None, "accuracies": []}
    largest = max(figure.largest_distance or 0.0 for figure in measured)
    return {
        **figure_record(measured[0]),
        "robust_accuracy": line.accuracies()[column + 1],
        "interval": _listed(line.interval(column)),
        "largest_distance": largest,
        "accuracies": [figure.accuracy for figure in measured],
    }


def _seed_record(seed: SeedResult) -> dict[str, Any]:
    found = seed.first
    return {
        "run": seed.run.name,
        "seed": seed.seed,
        "learning_rate_was_edited": seed.was_edited,
        "natural_accuracy": found.natural if found else None,
        "robust": [_measured_record(item) for _, item in sorted(seed.measurements.items())],
        "audit": None if seed.audited is None else asdict(seed.audited),
        "checkpoint": found.subject.checkpoint.name if found else None,
        "classifier": found.subject.classifier if found else None,
        "chosen": found.subject.chosen if found else None,
        "weights_sha256": found.subject.weights_sha256 if found else None,
        "training_precision": found.subject.precision if found else None,
        "data": without_folders(found.data) if found else None,
        "device": found.device if found else None,
        "versions": found.versions if found else None,
    }


def _measured_record(item: Measurement) -> dict[str, Any]:
    return {**figure_record(item.robust), "outcomes_sha256": item.outcomes_sha256}
