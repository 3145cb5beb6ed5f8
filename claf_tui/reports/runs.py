"""Runs and checkpoints as tables and lines, built from plain values; pure, `output` prints them."""

import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from claf_engine.events import RobustFigure, RunFinished, TestResult
from claf_engine.runs import RunSummary, runs_root
from claf_engine.runs.header import CheckpointInfo
from claf_engine.runs.overview import VALIDATION, Overview
from claf_engine.runs.probe_history import ListedFigure
from claf_tui.reports.audit import standing_text
from claf_tui.reports.evaluation import cells_of, evaluation_tables, new_table, no_ball_sentences, radius_of
from claf_tui.reports.fitted_table import FittedTable, Fold
from claf_tui.state.outcome import probed_notice
from claf_tui.words import figures
from claf_tui.words.attack_words import DOUBTED, NO_BALL, PIXEL, notice_of, notices, radius, radius_text
from claf_tui.words.next_command import next_command, saved_text
from claf_tui.words.safe_text import safe

__all__ = [
    "checkpoint_record",
    "checkpoint_tables",
    "evaluation_tables",
    "results_table",
    "run_records",
    "run_report",
    "runs_table",
]

STAR = "★"
AS_TRAINED = "as trained"
"""Weights of which no average was taken."""
UNAUDITED = "unaudited"
NO_STANDINGS: Mapping[str, str] = {}
NO_OVERVIEWS: Mapping[str, Overview] = {}
RUN_HEADINGS = ("name", "status", "begun", "method", "data", "phase", "epoch", "natural", "robust", "measured on")
RUN_FOLDS = {"robust": Fold(16), "measured on": Fold(11), "name": Fold(16, whole=32)}
ROOMS = (100, 12, 10, 24, 36, 6)
"""The longest name, status, method, data, phase and epoch, which others may have written; `--json` has all of it."""
STATUS_STYLES = {"finished": "green", "running": "cyan", "failed": "red", "diverged": "red", "interrupted": "yellow"}


def run_report(finished: RunFinished | None, directory: Path) -> list[RenderableType]:
    """How a run ended: its results with the selected one starred, its folder, the next command."""
    lines: list[RenderableType] = []
    if finished is not None:
        when = f"at step {figures.count(finished.step)}, {figures.duration(finished.elapsed)}"
        lines.append(Text(f"run {finished.status} {when}"))
    if finished is not None and finished.status == "stopped":
        lines.append(Text(saved_text(finished)))
    if finished is not None and finished.results:
        lines.append(results_table(finished.results))
        figures_shown = [asdict(figure) for result in finished.results for figure in result.robust]
        lines += [Text(sentence, style="yellow") for sentence in no_ball_sentences(figures_shown)]
        shown = [figure for result in finished.results for figure in result.robust]
        lines += [Text(f"{DOUBTED} {sentence}", style="yellow") for sentence in notices(shown)]
        if finished.selected_on:
            lines.append(Text(f"{STAR} chosen by {safe(finished.selected_on)}; all figures are of test images"))
        lines.append(Text(f"{UNAUDITED}: claf-tui audit {_name(directory)} asks whether they can be believed"))
    following = next_command(finished, _name(directory), directory)
    return [*lines, Text(f"folder: {safe(directory, 400)}"), Text(f"next:   {following}", style="bold")]


def _name(directory: Path) -> str:
    """A run's name to paste into a command line; its folder, where it lies elsewhere than the other runs."""
    is_elsewhere = directory.is_dir() and directory.absolute().parent != runs_root()
    return shlex.quote(safe(directory if is_elsewhere else directory.name, 400))


def results_table(results: Sequence[TestResult]) -> Table:
    """Test accuracy of each classifier of each checkpoint, the selected one starred."""
    headings = list(dict.fromkeys(_heading(figure) for result in results for figure in result.robust))
    table = new_table("", "checkpoint", "classifier", "natural", *headings)
    for result in results:
        robust = {_heading(figure): figures.percent(figure.accuracy) for figure in result.robust}
        table.add_row(
            STAR if result.selected else "",
            *cells_of(result.checkpoint, result.classifier),
            figures.percent(result.natural),
            *(robust.get(heading, figures.UNKNOWN) for heading in headings),
            style="bold" if result.selected else None,
        )
    return table


def runs_table(
    runs: Iterable[RunSummary],
    standings: Mapping[str, str] = NO_STANDINGS,
    now: float | None = None,
    overviews: Mapping[str, Overview] = NO_OVERVIEWS,
) -> FittedTable:
    """One line per run, in their order.

    Args:
        runs: the runs.
        standings: what a run's figures rest on, by its name; without a word for it they are unaudited.
        now: seconds since the epoch; None is this moment.
        overviews: by the name of a run, the figures that are shown in place of those of its status.
    """
    now = time.time() if now is None else now
    rows = []
    for run in runs:
        keys = ("method", "data", "phase_title", "epoch")
        cells = (run.name, run.status, *(run.record.get(key) or "" for key in keys))  # a test has no epochs
        name, status, *rest = [safe(cell, room) for cell, room in zip(cells, ROOMS, strict=True)]
        overview = overviews.get(run.name)
        *accuracies, images = _figures_of(run.record) if overview is None else _listed_figures(overview)
        row = [_text(cell) for cell in (name, status, figures.age(run.begun, now), *rest, *accuracies)]
        row[1] = _text(status, STATUS_STYLES.get(run.status, ""))
        rows.append((*row, _measured_on(images, standings.get(run.name, UNAUDITED))))
    shown = " ".join(row[RUN_HEADINGS.index("robust")].plain for row in rows)
    captions = {
        NO_BALL: f"{NO_BALL} marks what is not accuracy in an epsilon-ball",
        f" {DOUBTED}": f"{DOUBTED} marks what cannot be right, as steps that do not cross the ball; --json says why",
    }
    return FittedTable(
        RUN_HEADINGS,
        rows,
        optional=("epoch", "phase", "data", "method", "begun", "status"),
        folds=RUN_FOLDS,
        captions=tuple(Text(text, style="yellow") for mark, text in captions.items() if mark in shown),
    )


def run_records(
    runs: Iterable[RunSummary],
    standings: Mapping[str, str] = NO_STANDINGS,
    overviews: Mapping[str, Overview] = NO_OVERVIEWS,
) -> list[dict[str, Any]]:
    """The same as JSON objects, with everything that a run's status says; figures say whether they are of a ball."""
    return [
        {
            **_judged(run.record),
            "name": run.name,
            "directory": str(run.directory),
            "status": run.status,
            "audit": standings.get(run.name, UNAUDITED),
            **({"notice": run.notice} if run.notice else {}),
            **({"listed": _listed_record(overviews[run.name])} if run.name in overviews else {}),
        }
        for run in runs
    ]


def checkpoint_record(info: CheckpointInfo, kept_as: Sequence[str]) -> dict[str, Any]:
    """A checkpoint's header as a JSON object."""
    return {
        "path": str(info.path),
        "run": info.run,
        "step": info.step,
        "phase": info.phase,
        "epoch": info.epoch,
        "classifier": info.classifier,
        "metrics": info.metrics,
        "metrics_space": _metrics_space(info),
        "weights": info.weights or AS_TRAINED,
        "metrics_notice": probed_notice(info),
        "weights_sha256": info.weights_sha256,
        "num_bytes": info.num_bytes,
        "kept_as": list(kept_as),
        "tensors": [
            {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype} for tensor in info.tensors
        ],
    }


def checkpoint_tables(info: CheckpointInfo, kept_as: Sequence[str]) -> list[RenderableType]:
    """A checkpoint's header as two tables: what it is, and its tensors."""
    facts, space = new_table(show_header=False), _metrics_space(info)
    facts.add_column()
    facts.add_column(overflow="fold")
    rows = {
        "file": safe(info.path, 400),
        "run": safe(info.run),
        "step": figures.count(info.step),
        "phase": f"{safe(info.phase)}, epoch {info.epoch}",
        "classifier": safe(info.classifier),
        "kept as": ", ".join(kept_as) or figures.UNKNOWN,
        "size": figures.size(info.num_bytes),
        **{safe(name, 40): figures.percent(value) for name, value in info.metrics.items()},
        **({} if space == PIXEL else {"measured in": f"{safe(space, 20)} space {NO_BALL}"}),
        "weights are": info.weights or AS_TRAINED,
        **({DOUBTED: notice} if (notice := probed_notice(info)) else {}),
        "weights_sha256": safe(info.weights_sha256, 64),
    }
    for name, value in rows.items():
        facts.add_row(Text(name, style="dim"), Text(value))
    tensors = new_table("tensor", "shape", "type")
    for tensor in info.tensors:
        tensors.add_row(*cells_of(tensor.name, "x".join(map(str, tensor.shape)) or "scalar", tensor.dtype))
    return [facts, tensors]


@lru_cache(maxsize=4096)
def _text(cell: str, style: str = "") -> Text:
    """A cell of the list of runs, most of which say the same; whoever gets it does not change it."""
    text = Text(cell)
    text.stylize(style)
    return text


@lru_cache(maxsize=256)
def _measured_on(images: str, standing: str) -> Text:
    return Text.assemble(images, ", ", standing_text(standing)) if images else Text("")


def _metrics_space(info: CheckpointInfo) -> str:
    """The space that the run's probes attack, and so what a checkpoint's robust figure is of."""
    config = info.metadata.get("claf.config")
    probe = config.get("probe") if isinstance(config, Mapping) else None
    return str(probe.get("space", PIXEL)) if isinstance(probe, Mapping) else PIXEL


def _figures_of(record: Mapping[str, Any]) -> list[str]:
    """Natural and robust accuracy as far as they are known, and on which images; others may have written the record."""
    try:
        for result in record.get("results") or ():
            if result["selected"]:
                return [figures.percent(result["natural"]), _robust_text(result["robust"]), "test"]
        if probe := record.get("probe"):
            return [figures.percent(probe["natural"]), _robust_text(probe["robust"]), "validation"]
    except (AttributeError, KeyError, TypeError):
        return [figures.UNKNOWN, figures.UNKNOWN, ""]
    return [figures.UNKNOWN, figures.UNKNOWN, ""]


def _listed_figures(run: Overview) -> list[str]:
    """The same of a run whose best probe is known."""
    measured = run.measured
    robust = figures.UNKNOWN if measured.robust is None else _listed_robust(measured.robust)
    return [figures.percent(measured.natural), robust, measured.images]


def _listed_robust(figure: ListedFigure) -> str:
    radius = radius_text(figure.epsilon, figure.norm, figure.space, figure.decides, figure.notice)
    return f"{_sure(figure.accuracy, figure.num_examples)} at {radius}"


def _listed_record(run: Overview) -> dict[str, Any]:
    """What a filter and an order look at, besides the status."""
    measured, labels, latest = run.measured, run.digest.labels, run.digest.probes.latest
    return {
        "natural": measured.natural,
        "robust": None if measured.robust is None else asdict(measured.robust),
        "images": measured.images,
        "best_step": latest.step if latest is not None and measured.images == VALIDATION else None,
        "newest_checkpoint": run.newest,
        "note": labels.note,
        "tags": list(labels.tags),
        "archived": labels.is_archived,
    }


def _robust_text(robust: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{_sure(item['accuracy'], item.get('num_examples', 0))} at {radius_of(item)}" for item in robust)


def _sure(accuracy: float | None, num_examples: int) -> str:
    """An accuracy, and how sure it is where that is known."""
    return f"{figures.percent(accuracy)} {figures.plus_minus(accuracy, num_examples)}".strip()


def _judged(value: Any) -> Any:
    """The same JSON value, where every robust figure says whether it is one of a ball, and why it cannot be right."""
    if isinstance(value, list):
        return [_judged(item) for item in value]
    if not isinstance(value, dict):
        return value
    judged: dict[str, Any] = {
        key: _judged(item) if isinstance(item, list | dict) else item for key, item in value.items()
    }
    is_figure = {"accuracy", "epsilon", "space"} <= value.keys()
    if not is_figure:
        return judged
    return {**judged, "is_epsilon_ball": value["space"] == PIXEL, "notice": notice_of(value)}


def _heading(figure: RobustFigure) -> str:
    return f"{safe(figure.attack, 20)}-{figure.steps} at {radius(figure)}"
