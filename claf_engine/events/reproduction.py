"""What is told of a table of the paper while it is reproduced."""

from dataclasses import dataclass
from typing import Literal

RowStatus = Literal["waiting", "running", "evaluating", "finished", "reused", "failed"]


@dataclass(frozen=True)
class ReproductionRow:
    """One line of a table of the paper: its figures and ours, as fractions in [0, 1].

    Attributes:
        label: as the paper names the row, such as "TRADES".
        method: of the run.
        runs: names of the run folders, one for each seed, as far as they are known.
        status: "reused" when a finished run of the same configuration was found.
        natural: mean over seeds, None until it is measured.
        robust: the same, one for each column of the table.
        spread: largest difference between two seeds in any column; None with one seed.
        paper_natural: None where the paper gives none.
        paper_robust: the same, one for each column.
        seconds: spent so far, or estimated while the row waits.
        reason: why it failed.
        largest_distance: largest Linf distance, in pixel space, by which an attack moved a test image.
        notices: what a reader must know of its attacks and images.
        units: forward-units that its training spends on each image.
        audit: the verdict on its network: passes, warns, fails or not-run; empty where there is none.
        near_best: for natural accuracy, then for each column: the best row is ahead by no more than noise.
    """

    label: str
    method: str
    runs: tuple[str, ...]
    status: RowStatus
    natural: float | None
    robust: tuple[float | None, ...]
    spread: float | None
    paper_natural: float | None
    paper_robust: tuple[float | None, ...]
    seconds: float | None
    reason: str = ""
    largest_distance: float | None = None
    notices: tuple[str, ...] = ()
    units: float | None = None
    audit: str = ""
    near_best: tuple[bool, ...] = ()


@dataclass(frozen=True)
class ReproductionChanged:
    """A table of the paper as it stands, sent whenever one of its rows changes; runs send their own events between.

    `current` indexes the row that is being worked on. `directory` is where the finished table is written.
    `compute` is "equal" where all rows cost about the same.
    """

    table: str
    title: str
    scale: str
    space: str
    columns: tuple[str, ...]
    rows: tuple[ReproductionRow, ...]
    current: int | None
    directory: str
    compute: str = "own"
