"""A row of a table as it fills: what its runs gave so far."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from claf_engine.accuracy.intervals import wilson
from claf_engine.config import RunConfig
from claf_engine.events import RowStatus
from claf_engine.reproduce.auditing import Audited, worst
from claf_engine.reproduce.measuring import Measurement
from claf_engine.reproduce.rows import Column, Row
from claf_engine.terms.names import Verdict
from claf_engine.training.methods import phases_of, units_per_image

NATURAL = -1
"""In place of a column: accuracy without an attack."""


@dataclass
class SeedResult:
    """What one run of a row gave: measurements by the place of their column, as far as they are made.

    `was_edited` says that a person changed its learning rate while it went on; `audited` is the verdict on its subject.
    """

    seed: int
    run: Path
    measurements: dict[int, Measurement] = field(default_factory=dict)
    was_edited: bool = False
    audited: Audited | None = None

    @property
    def first(self) -> Measurement | None:
        """That of the first column that was measured; None before any was."""
        return self.measurements[min(self.measurements)] if self.measurements else None


@dataclass
class Line:
    """One row as it stands; `seconds` are spent so far, or estimated while it waits.

    `config` is that of its first run, `columns` are the attacks that it is measured under.
    """

    row: Row
    config: RunConfig
    columns: tuple[Column, ...]
    status: RowStatus = "waiting"
    seeds: list[SeedResult] = field(default_factory=list)
    seconds: float | None = None
    reason: str = ""
    asides: tuple[str, ...] = ()

    @property
    def units(self) -> float:
        """Forward-units that its training spends on each image."""
        return units_per_image(self.config)

    @property
    def epochs(self) -> dict[str, int]:
        """How long each of its phases trains."""
        return {phase.name: phase.epochs for phase in phases_of(self.config)}

    def naturals(self) -> list[float]:
        """Natural accuracy of each seed that was measured."""
        return [seed.first.natural for seed in self.seeds if seed.first is not None]

    def robusts(self, column: int) -> list[float]:
        """Robust accuracy of each seed that was measured under the attack of a column."""
        return [found.robust.accuracy for found in self.measurements(column).values()]

    def accuracies(self) -> list[float | None]:
        """Means over seeds: natural accuracy, then one for each column; None where nothing was measured."""
        return [mean(self.naturals()), *(mean(self.robusts(column)) for column in range(len(self.columns)))]

    def paper(self) -> list[float | None]:
        """The paper's figures in the same order; None where it has none."""
        return [self.row.natural, *self.row.robust, *([None] * (len(self.columns) - len(self.row.robust)))]

    def verdict(self) -> Verdict | None:
        """The gravest verdict of its audits."""
        return worst([seed.audited.verdict for seed in self.seeds if seed.audited is not None])

    def measurements(self, column: int) -> dict[int, Measurement]:
        """What was measured under the attack of a column, or of `NATURAL`, by seed."""
        found = {seed.seed: seed.first if column == NATURAL else seed.measurements.get(column) for seed in self.seeds}
        return {seed: measured for seed, measured in found.items() if measured is not None}

    def interval(self, column: int) -> tuple[float, float] | None:
        """95 % interval of the mean over seeds, by the number of images; what seeds add to it the spread tells."""
        accuracy, measured = self.accuracies()[column + 1], self.measurements(column)
        if accuracy is None or not measured:
            return None
        count = next(iter(measured.values())).robust.num_examples
        low, high = wilson(round(accuracy * count), count)
        return round(low, 6), round(high, 6)

    def spread_of(self, column: int) -> float | None:
        """Largest difference between two seeds in a column, or in `NATURAL`; None with fewer than two."""
        values = self.naturals() if column == NATURAL else self.robusts(column)
        return max(values) - min(values) if len(values) > 1 else None

    def spread(self) -> float | None:
        """Largest difference between two seeds in any column; None with fewer than two."""
        spreads = [self.spread_of(column) for column in range(NATURAL, len(self.columns))]
        return max((spread for spread in spreads if spread is not None), default=None)

    def largest_distance(self) -> float | None:
        """Largest Linf distance, in pixel space, by which an attack moved a test image; None before any did."""
        figures = [measured.robust for seed in self.seeds for measured in seed.measurements.values()]
        distances = [figure.largest_distance for figure in figures if figure.largest_distance is not None]
        return max(distances, default=None)

    def notices(self) -> tuple[str, ...]:
        """What a reader of the row must know of its attacks and images, each sentence once."""
        measured = [each for seed in self.seeds for each in seed.measurements.values()]
        told = (text for each in measured for text in (each.robust.notice, *each.notices))
        return tuple(dict.fromkeys(text for text in (*told, *self.asides, *self._audit_notices()) if text))

    def _audit_notices(self) -> list[str]:
        found = [(seed.seed, seed.audited) for seed in self.seeds if seed.audited is not None]
        return [
            f"{self.row.label}, seed {seed}: the audit {audited.verdict}: {'; '.join(audited.failed or audited.warned)}"
            for seed, audited in found
            if audited.failed or audited.warned
        ]


def mean(values: Sequence[float]) -> float | None:
    """The mean, or None of nothing."""
    return statistics.fmean(values) if values else None


def without_folders(source: str) -> str:
    """The name of a data source without the folders of this machine: "folder:cifar10", "my_data.py:images"."""
    kind, colon, place = source.partition(":")
    return f"{PurePath(kind).name}{colon}{PurePath(place).name}"
