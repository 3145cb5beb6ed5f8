"""What lies below `results/`, read, and how figures are found in it."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claf_engine.runs.folder import flat_settings

Record = Mapping[str, Any]
NATURAL = -1
"""In place of a column: accuracy without an attack."""
TABLE1, RELEASED, RECIPE = "table1-small-pixel", "table1-small-released-code", "robust-small-pixel"
"""Names of tables: the paper's methods in the epsilon-ball, in the released code's space, and our recipe."""
ON_GPU = "robust-gpu-pixel"
"""Our recipe again, with ResNet-18 at full width on all of CIFAR-10."""


@dataclass(frozen=True)
class Evidence:
    """All that the page is made of.

    Attributes:
        tables: `reproduction.json` of each, by table, scale and space.
        curves: robustness curves as `eval --json` prints them, by run.
        dissociation: see `results.collect.dissociation_of`, by run.
        settings: of finished runs, by dotted key.
        cards: names of the robustness cards.
        search: records of `results.choose.Candidate`.
        held_out: records of `results.held_out.HeldOut`.
        unfinished: names of runs that go on elsewhere.
        paper_units: forward-units that each recipe spends on an image at the paper's scale.
        rates: of machines, in forward-units a second.
    """

    tables: Mapping[str, Record]
    curves: Mapping[str, Record]
    dissociation: Mapping[str, Record]
    settings: Mapping[str, Record]
    cards: tuple[str, ...]
    search: tuple[Record, ...]
    held_out: tuple[Record, ...]
    unfinished: tuple[str, ...]
    paper_units: Mapping[str, float]
    rates: tuple[Record, ...]


@dataclass(frozen=True)
class Figure:
    """An accuracy as a share in [0, 1], with its 95 % interval."""

    share: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.share:.1f} ± {50 * (self.high - self.low):.1f}"


@dataclass(frozen=True)
class Difference:
    """What one row keeps more than another of the same images, as a share, with its 95 % interval."""

    share: float
    low: float
    high: float
    is_noise: bool

    def __str__(self) -> str:
        noise = "≈ " if self.is_noise else ""
        return f"{noise}{signed(self.share)} [{signed(self.low)}, {signed(self.high)}]"


def signed(share: float) -> str:
    """A difference of shares in points, with its sign; nothing is +0.0."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def read_evidence(root: Path) -> Evidence:
    """Read a folder of evidence; what is not there yet is empty.

    Raises:
        OSError: a file cannot be read.
        ValueError: one is damaged.
    """
    configs = sorted((root / "configs").glob("*.toml"))
    return Evidence(
        tables={path.parent.name: read_json(path) for path in sorted(root.glob("tables/*/reproduction.json"))},
        curves={path.stem: read_json(path) for path in sorted(root.glob("curves/*.json"))},
        dissociation={path.stem: read_json(path) for path in sorted(root.glob("dissociation/*.json"))},
        settings={path.stem: dict(flat_settings(tomllib.loads(path.read_text("utf-8")))) for path in configs},
        cards=tuple(path.stem for path in sorted(root.glob("cards/*.json"))),
        search=tuple(_json_or(root / "search.json", [])),
        held_out=tuple(_json_or(root / "held_out.json", [])),
        unfinished=tuple(sorted(path.parent.name for path in root.glob("unfinished/[!.]*/config.toml"))),
        paper_units=_json_or(root / "paper_units.json", {}),
        rates=tuple(_json_or(root / "rates.json", [])),
    )


def measured_rows(table: Record) -> list[Record]:
    """The rows that have figures."""
    return [row for row in table["rows"] if row["natural_accuracy"] is not None]


def row_of(table: Record, label: str) -> Record | None:
    """The row of a label, where it has figures."""
    return next((row for row in measured_rows(table) if row["label"] == label), None)


def figure_of(row: Record, column: int) -> Figure | None:
    """A row's figure in a column, or in `NATURAL`."""
    if column == NATURAL:
        share, interval = row["natural_accuracy"], row["natural_interval"]
    elif column < len(row["robust"]):
        share, interval = row["robust"][column]["robust_accuracy"], row["robust"][column]["interval"]
    else:
        return None
    return None if share is None or interval is None else Figure(share, *interval)


def paper_of(row: Record, column: int) -> float | None:
    """What the paper prints for a row in a column, or in `NATURAL`, as a share."""
    paper = row["paper"]
    printed = [paper["natural_accuracy"], *paper["robust"]]
    found: float | None = printed[column + 1] if column + 1 < len(printed) else None
    return found


def decisive(table: Record) -> int | None:
    """The column of the strongest attack at 8/255 in the ball: AutoAttack where it was run, else the longest PGD."""
    auto = [column for column in _in_the_ball(table) if is_autoattack(table, column)]
    return auto[0] if auto else longest_pgd(table)


def longest_pgd(table: Record) -> int | None:
    """The column of PGD with the most steps at 8/255 in the ball."""
    found = [column for column in _in_the_ball(table) if not is_autoattack(table, column)]
    return max(found, key=lambda column: _steps(table, column), default=None)


def is_autoattack(table: Record, column: int) -> bool:
    """Whether a column is of AutoAttack."""
    return bool(table["columns"][column].startswith("AutoAttack"))


def difference_of(table: Record, first: str, second: str, column: int) -> Difference | None:
    """What the first row keeps more than the second on the same images; None where they were not compared."""
    title = "natural" if column == NATURAL else table["columns"][column]
    for pair in table["pairs"]:
        low, high = pair["interval"]
        if pair["column"] != title:
            continue
        if (pair["first"], pair["second"]) == (first, second):
            return Difference(pair["difference"], low, high, pair["is_noise"])
        if (pair["first"], pair["second"]) == (second, first):
            return Difference(-pair["difference"], -high, -low, pair["is_noise"])
    return None


def labels_of_runs(evidence: Evidence) -> dict[str, str]:
    """The row that each run belongs to, in words, for legends; the recipe's table and Table 1 name a run first."""
    found: dict[str, str] = {}
    first = (TABLE1, RECIPE, RELEASED)
    for name in (*first, *(name for name in evidence.tables if name not in first)):
        for row in evidence.tables.get(name, {"rows": []})["rows"]:
            for seed in row["runs"]:
                space = " (released space)" if name == RELEASED else ""
                found.setdefault(seed["run"], f"{row['label']}{space}")
    return found


def _in_the_ball(table: Record) -> list[int]:
    """The columns of attacks at 8/255 in pixel space that a row has a figure of."""
    return [
        column
        for column in range(len(table["columns"]))
        if any(figure_of(row, column) and _is_in_the_ball(row["robust"][column]) for row in table["rows"])
    ]


def _is_in_the_ball(figure: Record) -> bool:
    return bool(figure["epsilon"] == "8/255" and figure["space"] == "pixel")


def _steps(table: Record, column: int) -> int:
    return max(row["robust"][column].get("steps") or 0 for row in table["rows"] if column < len(row["robust"]))


def read_json(path: Path) -> Any:
    """A file of evidence.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged, or holds what is no figure.
    """
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no figure")


def _json_or(path: Path, otherwise: Any) -> Any:
    return read_json(path) if path.exists() else otherwise
