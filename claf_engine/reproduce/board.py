"""A table as it fills, as events tell it and as the report writes it."""

from collections.abc import Sequence

from claf_engine.config import RunConfig
from claf_engine.events import ReproductionChanged, ReproductionRow
from claf_engine.reproduce.comparing import Comparison, comparisons, ties
from claf_engine.reproduce.lines import NATURAL, Line
from claf_engine.reproduce.plan import ReproductionRequest
from claf_engine.reproduce.rows import Table


class Board:
    """The lines of a table; `event` is how they stand."""

    def __init__(self, request: ReproductionRequest, table: Table, configs: Sequence[RunConfig]) -> None:
        self.request = request
        self.table = table
        self.lines = [Line(row, config, request.columns) for row, config in zip(table.rows, configs, strict=True)]

    def comparisons(self) -> list[Comparison]:
        """Every two rows under every attack, as far as both were measured."""
        return comparisons(self.lines, len(self.request.columns))

    def ties(self) -> list[list[bool]]:
        """For natural accuracy, then for each column: which rows the best one is ahead of by no more than noise."""
        found = self.comparisons()
        accuracies = list(zip(*(line.accuracies() for line in self.lines), strict=True))
        return [ties(found, values, column) for column, values in enumerate(accuracies, start=NATURAL)]

    def event(self, current: int | None) -> ReproductionChanged:
        """The table as it stands, with the row that is being worked on."""
        return ReproductionChanged(
            table=self.table.name,
            title=self.table.title,
            scale=self.request.scale,
            space=self.request.space,
            columns=tuple(column.title for column in self.request.columns),
            rows=tuple(
                row_event(line, near) for line, near in zip(self.lines, zip(*self.ties(), strict=True), strict=True)
            ),
            current=current,
            directory=str(self.request.directory),
            compute=self.request.compute,
        )


def row_event(line: Line, near_best: tuple[bool, ...]) -> ReproductionRow:
    """One row as events tell it: means over the seeds measured so far, and see `Board.ties`."""
    (natural, *robust), (paper_natural, *paper_robust) = line.accuracies(), line.paper()
    return ReproductionRow(
        label=line.row.label,
        method=line.config.method,
        runs=tuple(seed.run.name for seed in line.seeds),
        status=line.status,
        natural=natural,
        robust=tuple(robust),
        spread=line.spread(),
        paper_natural=paper_natural,
        paper_robust=tuple(paper_robust),
        seconds=line.seconds,
        reason=line.reason,
        largest_distance=line.largest_distance(),
        notices=line.notices(),
        units=line.units,
        audit=line.verdict() or "",
        near_best=near_best,
    )
