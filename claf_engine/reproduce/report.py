"""The finished table as files: Markdown for people, CSV and JSON for programs, bars like those of Figure 1."""

import csv
import io
import json
import os
import platform
from collections.abc import Iterable, Sequence
from typing import Any

from claf_engine.evaluation.evaluate import figure_record
from claf_engine.reproduce.bars_svg import Bar, Group, bar_chart
from claf_engine.reproduce.board import Board, Line, SeedResult, mean
from claf_engine.reproduce.measuring import Measurement
from claf_engine.runs import versions
from claf_engine.runs.durable import write_atomically
from claf_engine.terms.errors import RunError

UNKNOWN = "–"
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
)
NO_BALL = (
    "Attacked in the released code's space: normalised values clamped to [0, 1]. The figures are **not** accuracy in "
    "an epsilon-ball; how far images really moved is in the provenance below."
)


def write_report(board: Board) -> None:
    """Write `reproduction.md`, `.csv`, `.json` and `.svg` into the reproduction's folder, however full the table is.

    Raises:
        RunError: a file cannot be written.
    """
    texts = {
        "json": json.dumps(record(board), indent=1, allow_nan=False),
        "csv": as_csv(board),
        "md": as_markdown(board),
        "svg": bar_chart(chart_title(board), groups(board)),
    }
    for suffix, text in texts.items():
        path = board.request.directory / f"reproduction.{suffix}"
        try:
            write_atomically(path, text.encode("utf-8", "replace"))
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}; make room and reproduce again") from error


def record(board: Board) -> dict[str, Any]:
    """The table as a JSON object; its keys are stable."""
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
        "columns": [column.title for column in board.table.columns],
        "rows": [row_record(line) for line in board.lines],
        "machine": machine(),
        "versions": versions(),
        "directory": str(request.directory),
    }


def row_record(line: Line) -> dict[str, Any]:
    """One row: means over seeds, the paper's figures, differences in points, and where each figure is from."""
    natural = mean(line.naturals())
    robust = [mean(line.robusts(column)) for column in range(len(line.row.robust))]
    runs = [seed.run.name for seed in line.seeds]
    return {
        "method": line.method,
        "label": line.row.label,
        "status": line.status,
        "reason": line.reason,
        "natural_accuracy": natural,
        "robust": [_robust_record(line, column) for column in range(len(line.row.robust))],
        "paper": {"natural_accuracy": line.row.natural, "robust": list(line.row.robust), "note": line.row.note},
        "difference_points": {
            "natural": points(natural, line.row.natural),
            "robust": [points(ours, theirs) for ours, theirs in zip(robust, line.row.robust, strict=True)],
        },
        "spread": line.spread(),
        "run": runs[0] if runs else None,
        "runs": [_seed_record(seed) for seed in line.seeds],
        "seconds": None if line.seconds is None else round(line.seconds, 1),
        "units_per_image": round(line.units, 2),
    }


def points(ours: float | None, paper: float | None) -> float | None:
    """Ours minus the paper's, in points of 100."""
    return None if ours is None or paper is None else round(100 * (ours - paper), 2)


def as_csv(board: Board) -> str:
    """One line for each row and column, the natural one included."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADINGS)
    for line in board.lines:
        run = line.seeds[0].run.name if line.seeds else ""
        for title, paper, ours in cells(board, line):
            difference = points(ours, paper)
            values = ["" if value is None else value for value in (paper, ours, difference)]
            space = board.request.space if title != "natural" else ""
            writer.writerow(
                [
                    board.table.name,
                    line.method,
                    line.row.label,
                    title,
                    *values,
                    space,
                    line.status,
                    run,
                    f"{line.units:.4g}",
                ]
            )
    return text.getvalue()


def cells(board: Board, line: Line) -> list[tuple[str, float | None, float | None]]:
    """Every figure of a row: what is measured, the paper's, ours."""
    robust = [
        (column.title, paper, mean(line.robusts(number)))
        for number, (column, paper) in enumerate(zip(board.table.columns, line.row.robust, strict=True))
    ]
    return [("natural", line.row.natural, mean(line.naturals())), *robust]


def as_markdown(board: Board) -> str:
    """The table with the paper's figures beside ours, and its provenance."""
    request = board.request
    parts = [f"# {board.table.name}: {board.table.title}", ""]
    parts += [
        f"Scale {request.scale}, attack space {request.space}, compute {request.compute}, "
        f"{request.seeds} run(s) of each row.",
        "",
    ]
    parts += [] if request.space == "pixel" else [NO_BALL, ""]
    titles = ["natural", *(column.title for column in board.table.columns)]
    heads = [f"{title}: {what}" for title in titles for what in ("paper", "ours", "difference")]
    parts += _markdown_table(["row", *heads, "units", "status"], (_markdown_row(board, line) for line in board.lines))
    parts += [
        "",
        "Accuracy in percent on test images, difference in points; units are forward passes of the encoder that",
    ]
    parts += [
        "training spends on each image, all epochs together (a backward pass to the images counts 1, a full one 2)."
    ]
    parts += ["", "![bars](reproduction.svg)", ""]
    parts += ["## What the paper's figures are", ""]
    parts += [f"- {_plain(line.row.label)}: {line.row.note}" for line in board.lines if line.row.note]
    doubts = dict.fromkeys(notice for line in board.lines for notice in line.notices())
    parts += ["", "## What the figures cannot say", "", *(f"- {_plain(text)}" for text in doubts)] if doubts else []
    parts += ["", "## Provenance", ""]
    heads = ["row", "seed", "run", "checkpoint", "classifier", "attack", "step", "starts", "images", "moved (Linf)"]
    rows = [row for line in board.lines for seed in line.seeds for row in _provenance(line, seed)]
    parts += _markdown_table([*heads, "precision", "accuracy", "weights"], rows)
    failed = [f"- {_plain(line.row.label)}: {_plain(line.reason)}" for line in board.lines if line.status == "failed"]
    parts += ["", "## Rows that failed", "", *failed] if failed else []
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    parts += ["", f"Machine: {machine()}. Versions: {made}.", ""]
    return "\n".join(parts)


def machine() -> str:
    """What the figures were made on, without a name that is anybody's business."""
    return f"{platform.machine()}, {os.cpu_count()} cores"


def chart_title(board: Board) -> str:
    """What the bar chart is headed with; figures that are of no epsilon-ball say so."""
    no_ball = "" if board.request.space == "pixel" else ", released-code space: no epsilon-ball"
    return f"{board.table.name}, scale {board.request.scale}{no_ball}"


def groups(board: Board) -> list[Group]:
    """The bars of every row."""
    return [
        Group(line.row.label, tuple(Bar(title, ours, paper) for title, paper, ours in cells(board, line)))
        for line in board.lines
    ]


def percent(fraction: float | None) -> str:
    """A fraction in percent with one digit; unknown is a dash."""
    return UNKNOWN if fraction is None else f"{100 * fraction:.1f}"


def _robust_record(line: Line, column: int) -> dict[str, Any]:
    """One column of a row: the mean over seeds; the attack is the same for all of them."""
    measured = [seed.measurements[column].robust for seed in line.seeds if len(seed.measurements) > column]
    if not measured:
        return {"robust_accuracy": None, "accuracies": []}
    accuracies = [figure.accuracy for figure in measured]
    largest = max(figure.largest_distance or 0.0 for figure in measured)
    shown = {**figure_record(measured[0]), "robust_accuracy": mean(accuracies), "largest_distance": largest}
    return {**shown, "accuracies": accuracies}


def _seed_record(seed: SeedResult) -> dict[str, Any]:
    found = seed.measurements[0] if seed.measurements else None
    return {
        "run": seed.run.name,
        "seed": seed.seed,
        "learning_rate_was_edited": seed.was_edited,
        "natural_accuracy": found.natural if found else None,
        "robust": [figure_record(item.robust) for item in seed.measurements],
        "checkpoint": found.subject.checkpoint.name if found else None,
        "classifier": found.subject.classifier if found else None,
        "chosen": found.subject.chosen if found else None,
        "weights_sha256": found.subject.weights_sha256 if found else None,
        "data": found.data if found else None,
        "device": found.device if found else None,
        "versions": found.versions if found else None,
    }


def _markdown_row(board: Board, line: Line) -> list[str]:
    shown = [_plain(line.row.label)]
    for _, paper, ours in cells(board, line):
        difference = points(ours, paper)
        shown += [percent(paper), percent(ours), UNKNOWN if difference is None else f"{difference:+.1f}"]
    return [*shown, f"{line.units:.4g}", line.status]


def _provenance(line: Line, seed: SeedResult) -> list[list[str]]:
    return [
        [
            _plain(line.row.label),
            str(seed.seed),
            _plain(seed.run.name) + (" (learning rate edited)" if seed.was_edited else ""),
            _plain(item.subject.checkpoint.name),
            f"{item.subject.classifier} ({item.subject.chosen})",
            f"{item.robust.attack}-{item.robust.steps} at {item.robust.epsilon}, {item.robust.space}",
            item.robust.step_size,
            f"{item.robust.restarts} (seed {item.robust.seed})",
            f"{item.robust.num_examples} of {_plain(item.data)}",
            _moved(item),
            f"{item.robust.precision}, {_plain(item.device)}",
            percent(item.robust.accuracy),
            item.subject.weights_sha256[:12],
        ]
        for item in seed.measurements
    ]


def _moved(item: Measurement) -> str:
    """How far attacked images lie from their originals, in levels of 255."""
    largest, average = item.robust.largest_distance, item.robust.mean_distance
    if largest is None or average is None:
        return UNKNOWN
    return f"mean {255 * average:.1f}/255, at most {255 * largest:.1f}/255"


def _markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    shown = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(cells)} |" for cells in shown]


def _plain(text: str) -> str:
    """Foreign text as one cell: no pipes, no markup, no line breaks."""
    kept = "".join(char if char.isprintable() and char not in "|<>`" else "\ufffd" for char in text)
    return kept[:300]
