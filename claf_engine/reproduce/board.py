"""A table as it fills: what is known of each row, as events and for the report."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from claf_engine.config import RunConfig
from claf_engine.events import ReproductionChanged, ReproductionRow, RowStatus
from claf_engine.reproduce.measuring import Measurement
from claf_engine.reproduce.plan import ReproductionRequest
from claf_engine.reproduce.tables import Row, Table
from claf_engine.training.methods import units_per_image


@dataclass
class SeedResult:
    """What one run of a row gave: a measurement for each column as far as they are made.

    `was_edited` says that a person changed its learning rate while it went on.
    """

    seed: int
    run: Path
    measurements: list[Measurement] = field(default_factory=list)
    was_edited: bool = False


@dataclass
class Line:
    """One row as it stands; `seconds` are spent so far, or estimated while it waits.

    `units` are forward-units that its training spends on each image.
    """

    row: Row
    method: str
    units: float
    status: RowStatus = "waiting"
    seeds: list[SeedResult] = field(default_factory=list)
    seconds: float | None = None
    reason: str = ""

    def naturals(self) -> list[float]:
        """Natural accuracy of each seed that was measured."""
        return [seed.measurements[0].natural for seed in self.seeds if seed.measurements]

    def robusts(self, column: int) -> list[float]:
        """Robust accuracy of each seed that was measured under the attack of a column."""
        return [seed.measurements[column].robust.accuracy for seed in self.seeds if len(seed.measurements) > column]

    def spread(self) -> float | None:
        """Largest difference between two seeds in any column; None with fewer than two."""
        series = [self.naturals(), *(self.robusts(column) for column in range(len(self.row.robust)))]
        spreads = [max(values) - min(values) for values in series if len(values) > 1]
        return max(spreads, default=None)

    def largest_distance(self) -> float | None:
        """Largest Linf distance, in pixel space, by which an attack moved a test image; None before any did."""
        figures = [measured.robust for seed in self.seeds for measured in seed.measurements]
        distances = [figure.largest_distance for figure in figures if figure.largest_distance is not None]
        return max(distances, default=None)

    def notices(self) -> tuple[str, ...]:
        """What a reader of the row must know of its attacks and images, each sentence once."""
        measured = [each for seed in self.seeds for each in seed.measurements]
        told = (text for each in measured for text in (each.robust.notice, *each.notices))
        return tuple(dict.fromkeys(text for text in told if text))


class Board:
    """The lines of a table; `event` is how they stand."""

    def __init__(self, request: ReproductionRequest, table: Table, configs: Sequence[RunConfig]) -> None:
        self.request = request
        self.table = table
        self.lines = [
            Line(row, config.method, units_per_image(config)) for row, config in zip(table.rows, configs, strict=True)
        ]

    def event(self, current: int | None) -> ReproductionChanged:
        """The table as it stands, with the row that is being worked on."""
        return ReproductionChanged(
            table=self.table.name,
            title=self.table.title,
            scale=self.request.scale,
            space=self.request.space,
            columns=tuple(column.title for column in self.table.columns),
            rows=tuple(row_event(line) for line in self.lines),
            current=current,
            directory=str(self.request.directory),
            compute=self.request.compute,
        )


def row_event(line: Line) -> ReproductionRow:
    """One row as events tell it: means over the seeds measured so far."""
    return ReproductionRow(
        label=line.row.label,
        method=line.method,
        runs=tuple(seed.run.name for seed in line.seeds),
        status=line.status,
        natural=mean(line.naturals()),
        robust=tuple(mean(line.robusts(column)) for column in range(len(line.row.robust))),
        spread=line.spread(),
        paper_natural=line.row.natural,
        paper_robust=line.row.robust,
        seconds=line.seconds,
        reason=line.reason,
        largest_distance=line.largest_distance(),
        notices=line.notices(),
        units=line.units,
    )


def mean(values: Sequence[float]) -> float | None:
    """The mean, or None of nothing."""
    return statistics.fmean(values) if values else None
