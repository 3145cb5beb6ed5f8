"""Which columns the lists of the browser have at a width, and what stands in them. Pure."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from claf_engine.runs.header import step_in_name
from claf_tui.screens.checkpoints.actions import Entry
from claf_tui.screens.checkpoints.modules import TreeRow
from claf_tui.state.outcome import probed_radius
from claf_tui.state.standings import WORDS
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

PADDING = 2
"""Cells that a table leaves between two columns."""
ROBUST_WIDTH = 12
MARK = "● "
OPEN, CLOSED = "▾ ", "▸ "


class Column(NamedTuple):
    """One column: its heading, its width in cells, and whether it holds numbers, which stand on the right."""

    name: str
    width: int
    is_number: bool = False


BASE = (
    Column("step", 9, is_number=True),
    Column("natural", 7, is_number=True),
    Column("robust", ROBUST_WIDTH, is_number=True),
    Column("audit", 9),
    Column("kept as", 10),
    Column("phase", 9),
    Column("epoch", 5, is_number=True),
)
"""What fits into 80 cells; the phase takes what is left."""
MORE = (
    Column("size", 9, is_number=True),
    Column("classifier", 11),
    Column("saved", 16),
    Column("weights", 12),
)
"""What a wider screen adds, in this order."""
LONGEST_PHASE = 30
LONGEST_KEPT = len("last, best, requested")
COMFORTABLE_PHASE = 24
"""The phase gets so much before another column comes."""


def entry_columns(room: int, robust: str = "robust") -> list[Column]:
    """The columns of the list of checkpoints that `room` cells are enough for.

    Args:
        room: cells of the table.
        robust: heading of the robust accuracy, see `robust_heading`.
    """
    chosen = [column._replace(name=robust) if column.name == "robust" else column for column in BASE]
    left = room - sum(column.width + PADDING for column in chosen)
    phase = next(index for index, column in enumerate(chosen) if column.name == "phase")
    spare = COMFORTABLE_PHASE - chosen[phase].width
    for column in MORE:
        if left - spare < column.width + PADDING:
            break
        chosen.append(column)
        left -= column.width + PADDING
    wide = chosen[phase].width + max(0, left)
    kept = next(index for index, column in enumerate(chosen) if column.name == "kept as")
    more = min(LONGEST_KEPT - chosen[kept].width, max(0, wide - COMFORTABLE_PHASE))
    chosen[kept] = chosen[kept]._replace(width=chosen[kept].width + more)
    chosen[phase] = chosen[phase]._replace(width=min(LONGEST_PHASE, wide - more))
    return chosen


def robust_heading(entries: Sequence[Entry]) -> str:
    """Head the robust accuracies with the radius that they were probed at, where it is the same for all."""
    radii = {probed_radius(entry.info) for entry in entries if entry.info is not None}
    (radius,) = radii if len(radii) == 1 else ("",)
    options = [f"{name} {radius}".strip() for name in ("robust", "rob.", "rob")]
    return safe(next((text for text in options if len(text) <= ROBUST_WIDTH), options[1]), ROBUST_WIDTH)


def entry_cells(entry: Entry, columns: Sequence[Column], standing: str = "", *, is_marked: bool = False) -> list[str]:
    """Write one checkpoint as table cells; `standing` says what its accuracies rest on."""
    values = _values(entry, standing)
    values["step"] = f"{MARK if is_marked else ''}{values['step']}"
    return [
        safe(values["robust" if column.name.startswith("rob") else column.name], column.width) for column in columns
    ]


def _values(entry: Entry, standing: str) -> dict[str, str]:
    info = entry.info
    if info is None:
        step = step_in_name(entry.path.name)
        blank = dict.fromkeys((column.name for column in (*BASE, *MORE)), "")
        unknown = {"natural": figures.UNKNOWN, "robust": figures.UNKNOWN}
        return {
            **blank,
            **unknown,
            "step": entry.path.name if step is None else figures.count(step),
            "phase": "cannot be read",
        }
    return {
        "step": figures.count(info.step),
        "natural": figures.percent(info.metrics.get("validation_natural")),
        "robust": figures.percent(info.chosen_by),
        "audit": WORDS.get(standing, (standing, ""))[0],
        "kept as": ", ".join(entry.kept_as),
        "phase": info.phase,
        "epoch": str(info.epoch),
        "size": figures.size(info.num_bytes),
        "classifier": info.classifier,
        "saved": _saved(entry),
        "weights": info.weights_sha256,
    }


def _saved(entry: Entry) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.path.stat().st_mtime))
    except (OSError, OverflowError, ValueError):
        return figures.UNKNOWN


def tree_columns(room: int) -> list[Column]:
    """Share `room` cells among the columns of the tree of tensors; type and number of values go first."""
    fixed = [Column("shape", 11), Column("size", 9, is_number=True)]
    if room >= 60:
        fixed = [Column("shape", 15), Column("type", 4), Column("size", 9, is_number=True)]
    if room >= 80:
        fixed.insert(2, Column("values", 11, is_number=True))
    taken = sum(column.width + PADDING for column in fixed)
    return [Column("name", max(10, room - taken - PADDING)), *fixed]


def tree_cells(row: TreeRow, columns: Sequence[Column]) -> list[str]:
    """Write a module or a tensor as table cells; a long name loses its beginning, because its end tells it apart."""
    dtypes = sorted({tensor.dtype for tensor in row.tensors})
    number = f"{len(row.tensors)} tensor{'' if len(row.tensors) == 1 else 's'}"
    values = {
        "name": _name(row, columns[0].width),
        "shape": number if row.is_module else shape_text(row.tensors[0].shape),
        "type": dtypes[0] if len(dtypes) == 1 else "…",
        "values": figures.count(row.num_values),
        "size": figures.size(row.num_bytes),
    }
    return [safe(values[column.name], column.width) for column in columns]


def shape_text(shape: Sequence[int]) -> str:
    """Write a shape as 64x3x3x3; one number is a scalar."""
    return "x".join(map(str, shape)) or "scalar"


def _name(row: TreeRow, width: int) -> str:
    sign = (OPEN if row.is_open else CLOSED) if row.is_module else "  "
    lead = f"{'  ' * row.depth}{sign}"[: width // 2]
    name, room = safe(row.name, 400), width - len(lead)
    return lead + (name if len(name) <= room else f"…{name[1 - room :]}")
