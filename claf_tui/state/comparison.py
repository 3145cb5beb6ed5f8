"""Two or more runs side by side as plain data: what differs in their settings, and by how much their figures differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from claf_engine.accuracy.intervals import difference_interval
from claf_engine.events import RobustFigure
from claf_engine.terms.errors import ConfigError
from claf_tui.state.compared_run import Accuracy, ComparedRun, with_labels
from claf_tui.words import attack_words

MIN_RUNS, MAX_RUNS = 2, 8
KEYS = "ABCDEFGH"
"""The letters that stand for the runs, in the order in which they were named."""
NATURAL = "natural"
SILENT = ("runtime.", "checkpoint.")
"""Settings that change neither what is trained nor what is measured; they come last."""
RECIPE = ("attack", "steps", "step_size", "restarts", "decides", "defence", "knowledge")
"""What two robust figures at one radius should share; a difference of them is told."""
UNSET = None

How = Literal["paired", "independent"]


@dataclass(frozen=True)
class SettingRow:
    """One setting that is not the same in all runs; `values` are in their order, None where it is not set.

    `is_silent` says that it changes neither what is trained nor what is measured.
    """

    name: str
    values: tuple[Any, ...]
    is_silent: bool = False


@dataclass(frozen=True)
class Difference:
    """How two runs differ in one accuracy: first minus second.

    Attributes:
        first, second: keys of the runs.
        column: "natural", or a radius such as "8/255".
        difference: in [-1, 1]; `low` and `high` are its 95 % interval.
        how: "independent" (Newcombe) is as if the images had been drawn anew for each run, which is too wide where they
            were not; "paired" is image by image, with McNemar's exact test.
        p_value: of a paired one, else None.
        measured: of a paired one under what: it has an attack of its own, such as "pgd-40, 100 images".
        doubts: why the two do not quite compare, such as another attack; empty where nothing is known.
    """

    first: str
    second: str
    column: str
    difference: float
    low: float
    high: float
    how: How = "independent"
    p_value: float | None = None
    measured: str = ""
    doubts: tuple[str, ...] = ()

    @property
    def is_noise(self) -> bool:
        """Whether runs of the same accuracy would differ so much now and then."""
        return self.low <= 0 <= self.high or (self.p_value is not None and self.p_value > 0.05)


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: in the order in which they were named.
        columns: "natural", and every radius that one of them was measured at, smallest first.
        settings: those that differ.
        num_equal: how many do not.
        differences: of every two runs that have a figure in common, on the same kind of images.
    """

    runs: tuple[ComparedRun, ...]
    columns: tuple[str, ...]
    settings: tuple[SettingRow, ...]
    num_equal: int
    differences: tuple[Difference, ...]

    @property
    def notices(self) -> tuple[str, ...]:
        """What of the runs could not be read, each sentence once."""
        return tuple(dict.fromkeys(text for run in self.runs for text in run.notices))


def require_comparable(directories: Sequence[Path]) -> None:
    """Refuse too few runs, too many, and one that is named twice.

    Raises:
        ConfigError: so it is.
    """
    if len(directories) < MIN_RUNS:
        raise ConfigError("name at least two runs: claf-tui compare RUN RUN; `claf-tui runs` lists them")
    if len(directories) > MAX_RUNS:
        raise ConfigError(f"{len(directories)} runs cannot be told apart; compare at most {MAX_RUNS} at once")
    twice = next((path for number, path in enumerate(directories) if path in directories[:number]), None)
    if twice is not None:
        raise ConfigError(f"run {twice.name} is named twice; name each run once")


def compare(runs: Sequence[ComparedRun], paired: tuple[Difference, ...] = ()) -> Comparison:
    """Put runs side by side.

    Args:
        runs: what is known of each.
        paired: how they differ image by image, where that is known (`claf_tui.state.paired`).
    """
    settings, num_equal = _settings(runs)
    columns = (NATURAL, *_radii(runs))
    pairs = ((*pair, column) for pair in combinations(runs, 2) for column in columns)
    differences = tuple(found for pair in pairs if (found := _difference(*pair)) is not None)
    return Comparison(tuple(with_labels(runs)), columns, settings, num_equal, (*differences, *paired))


def radius_key(figure: RobustFigure) -> str:
    """The column that a robust figure stands in: its radius with norm, space and what decides, without doubts."""
    return attack_words.radius_text(figure.epsilon, figure.norm, figure.space, figure.decides)


def figure_at(run: ComparedRun, column: str) -> RobustFigure | None:
    """A run's robust figure at a radius: of several one that nothing speaks against, and of those the lowest."""
    robust = run.measured.robust if run.measured is not None else ()
    found = [figure for figure in robust if radius_key(figure) == column]
    return min(found, key=lambda figure: (bool(figure.notice), figure.accuracy), default=None)


def accuracy_at(run: ComparedRun, column: str) -> Accuracy | None:
    """A run's accuracy in a column, with its interval; None where it was not measured."""
    if run.measured is None:
        return None
    if column == NATURAL:
        return run.measured.natural
    figure = figure_at(run, column)
    return None if figure is None else Accuracy.of(figure.accuracy, figure.num_examples)


def _radii(runs: Sequence[ComparedRun]) -> list[str]:
    found = {radius_key(figure): figure for run in runs if run.measured is not None for figure in run.measured.robust}
    return sorted(found, key=lambda name: (found[name].norm, found[name].space, _size(found[name].epsilon)))


def _size(epsilon: str) -> float:
    """How large a radius is, as far as its text tells."""
    number, _, divisor = epsilon.partition("/")
    try:
        return float(number) / float(divisor or 1)
    except (ValueError, ZeroDivisionError):
        return float("inf")


def _settings(runs: Sequence[ComparedRun]) -> tuple[tuple[SettingRow, ...], int]:
    known = [run.settings for run in runs if run.settings is not None]
    names = list(dict.fromkeys(name for settings in known for name in settings))
    rows = [
        SettingRow(
            name,
            tuple(UNSET if run.settings is None else run.settings.get(name, UNSET) for run in runs),
            name.startswith(SILENT),
        )
        for name in names
        if any(settings.get(name, UNSET) != known[0].get(name, UNSET) for settings in known)
    ]
    return tuple(sorted(rows, key=lambda row: row.is_silent)), len(names) - len(rows)


def _difference(first: ComparedRun, second: ComparedRun, column: str) -> Difference | None:
    one, other = accuracy_at(first, column), accuracy_at(second, column)
    if one is None or other is None or not one.num_examples or not other.num_examples:
        return None
    assert first.measured is not None
    assert second.measured is not None
    if first.measured.split != second.measured.split:
        return None
    doubts = _doubts(first, second, column)
    counts = one.num_right, one.num_examples, other.num_right, other.num_examples
    low, high = difference_interval(*counts)
    return Difference(first.key, second.key, column, one.share - other.share, low, high, doubts=doubts)


def _doubts(first: ComparedRun, second: ComparedRun, column: str) -> tuple[str, ...]:
    found = []
    split = first.measured.split if first.measured is not None else "test"
    images = {run.images.get(split, "") for run in (first, second)}
    if len(images) > 1 and "" not in images:
        found.append("other images")
    one, other = figure_at(first, column), figure_at(second, column)
    if one is not None and other is not None:
        if any(getattr(one, name) != getattr(other, name) for name in RECIPE):
            found.append("another attack")
        if one.notice or other.notice:
            found.append("the figure cannot be right")
    return tuple(found)


def plain_row(row: SettingRow, runs: Sequence[ComparedRun]) -> Mapping[str, Any]:
    """The values of a setting by the key of the run."""
    return {run.key: value for run, value in zip(runs, row.values, strict=True)}
