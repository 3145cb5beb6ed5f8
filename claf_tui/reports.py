"""Tables and lines of the command line, built from plain values; pure, `output` prints them."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from claf_engine.events import RunFinished, TestResult
from claf_engine.inspect import CheckpointInfo
from claf_engine.runs import RunSummary
from claf_tui import figures
from claf_tui.safe_text import safe

STAR = "★"
STATUS_STYLES = {"finished": "green", "running": "cyan", "failed": "red", "interrupted": "yellow"}


def run_report(finished: RunFinished | None, directory: Path) -> list[RenderableType]:
    """How a run ended: its results with the selected one starred, its folder, the next command."""
    status = finished.status if finished is not None else "failed"
    lines: list[RenderableType] = []
    if finished is not None:
        lines.append(Text(f"run {status} at step {figures.count(finished.step)}, {figures.duration(finished.elapsed)}"))
    if finished is not None and finished.results:
        lines.append(results_table(finished.results))
        if finished.selected_on:
            lines.append(Text(f"{STAR} chosen by {safe(finished.selected_on)}; all figures are of test images"))
    lines += [Text(f"folder: {safe(directory, 400)}"), Text(f"next:   {next_command(status, directory)}", style="bold")]
    return lines


def next_command(status: str, directory: Path) -> str:
    """The command that a person most likely wants after a run."""
    name = shlex.quote(safe(directory.name, 200))
    if status == "finished":
        return f"claf-tui eval {name} --eps 16/255"
    return f"claf-tui train --resume {name}" if status == "stopped" else "claf-tui runs"


def results_table(results: Sequence[TestResult]) -> Table:
    """Test accuracy of each classifier of each checkpoint, the selected one starred."""
    epsilons = list(dict.fromkeys(figure.epsilon for result in results for figure in result.robust))
    attacks = {figure.epsilon: f"{figure.attack}-{figure.steps}" for result in results for figure in result.robust}
    headings = [f"{safe(attacks[epsilon], 20)} at {safe(epsilon, 12)}" for epsilon in epsilons]
    table = _table("", "checkpoint", "classifier", "natural", *headings)
    for result in results:
        robust = {figure.epsilon: figures.percent(figure.accuracy) for figure in result.robust}
        table.add_row(
            STAR if result.selected else "",
            *_cells(result.checkpoint, result.classifier),
            figures.percent(result.natural),
            *(robust.get(epsilon, figures.UNKNOWN) for epsilon in epsilons),
            style="bold" if result.selected else None,
        )
    return table


def runs_table(runs: Iterable[RunSummary]) -> Table:
    """One line per run, newest first."""
    table = _table("name", "status", "method", "data", "phase", "epoch", "natural", "robust", "measured on")
    for run in runs:
        phase, epoch = run.record.get("phase_title", ""), run.record.get("epoch", "")
        style = STATUS_STYLES.get(run.status, "")
        cells = _cells(run.name, run.status, run.record.get("method", ""), run.record.get("data", ""), phase, epoch)
        table.add_row(cells[0], Text(cells[1], style=style), *cells[2:], *_figures_of(run.record))
    return table


def run_records(runs: Iterable[RunSummary]) -> list[dict[str, Any]]:
    """The same as JSON objects, with everything that a run's status says."""
    return [{**run.record, "name": run.name, "directory": str(run.directory), "status": run.status} for run in runs]


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
        "weights_sha256": info.weights_sha256,
        "num_bytes": info.num_bytes,
        "kept_as": list(kept_as),
        "tensors": [
            {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype} for tensor in info.tensors
        ],
    }


def checkpoint_tables(info: CheckpointInfo, kept_as: Sequence[str]) -> list[RenderableType]:
    """A checkpoint's header as two tables: what it is, and its tensors."""
    facts = _table(show_header=False)
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
        "weights_sha256": safe(info.weights_sha256, 64),
    }
    for name, value in rows.items():
        facts.add_row(Text(name, style="dim"), Text(value))
    tensors = _table("tensor", "shape", "type")
    for tensor in info.tensors:
        tensors.add_row(*_cells(tensor.name, "x".join(map(str, tensor.shape)) or "scalar", tensor.dtype))
    return [facts, tensors]


def evaluation_tables(record: Mapping[str, Any]) -> list[RenderableType]:
    """An evaluation's record as a table with what a reader needs to repeat it."""
    about = f"{record.get('classifier')} classifier of {record.get('checkpoint')}"
    where = f"{record.get('data')}, {record.get('num_examples')} test images, {record.get('device')}"
    table = _table("epsilon", "accuracy", "attack", "steps", "step size", "restarts", "space", "precision", "seed")
    table.add_row("natural", Text(figures.percent(record["natural_accuracy"]), style="bold"), "none")
    for item in record["robust"]:
        accuracy = Text(figures.percent(item["robust_accuracy"]), style="bold")
        keys = ("attack", "steps", "step_size", "restarts", "space", "precision", "seed")
        table.add_row(safe(item["epsilon"], 12), accuracy, *_cells(*(item.get(key, "") for key in keys)))
    return [
        Text(safe(about, 400)),
        Text(safe(where, 200)),
        table,
        Text(f"weights_sha256 {safe(record.get('weights_sha256'), 64)}", style="dim"),
    ]


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


def _robust_text(robust: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{figures.percent(item['accuracy'])} at {safe(item['epsilon'], 12)}" for item in robust)


def _table(*headings: str, show_header: bool = True) -> Table:
    table = Table(box=SIMPLE_HEAD, show_header=show_header, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _cells(*values: object) -> list[str]:
    return [safe(value, 200) for value in values]
