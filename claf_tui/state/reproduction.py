"""What the console shows of a table of the paper while it is reproduced: pure functions, nothing drawn.

Figures are fractions in [0, 1], times are seconds.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from claf_engine import events as ev
from claf_tui.state import RunState
from claf_tui.state.moment import Moment, run_fraction
from claf_tui.words import attack_words, figures
from claf_tui.words.safe_text import safe

END_WORDS = {"FINISHED", "INCOMPLETE", "STOPPED", "FAILED"}
ROW = "--row"
ENDED = {"finished", "reused", "failed"}
TABLES = ("table1", "table2", "table3", "table4", "table5", "table6", "figure1", "robust")


@dataclass(frozen=True)
class Scene:
    """All that the screen draws.

    Attributes:
        state: the folded events; its run is the one that the current row is working on, or the last that ended.
        moment: the status word of the whole, the picture of the spinner, and the time since the console began.
        aside: what is being done outside a run, such as loading images or measuring accuracy on the test split.
        began: the moment's clock when the work outside a run began.
        estimates: what each row was expected to take while it waited.
        elapsed_then: the run's clock when the table last changed, and so when its seconds were counted; None before
            the run has told of its clock, which goes on from before when it is resumed.
        reason: why the whole failed, or an empty string.
        command: what goes on from here when it is typed again.
    """

    state: RunState = field(default_factory=RunState)
    moment: Moment = Moment()
    aside: ev.Progressed | None = None
    began: float = 0.0
    estimates: tuple[float | None, ...] = ()
    elapsed_then: float | None = None
    reason: str = ""
    command: str = ""

    @property
    def table(self) -> ev.ReproductionChanged | None:
        """The table as it stands."""
        return self.state.reproduction

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.moment.word in END_WORDS

    @property
    def current(self) -> ev.ReproductionRow | None:
        """The row that is being worked on."""
        if self.table is None or self.table.current is None:
            return None
        return self.table.rows[self.table.current]

    @property
    def is_training(self) -> bool:
        """Whether a run has begun and not ended yet."""
        return is_training(self.state)


def is_training(state: RunState) -> bool:
    """Whether a run has begun and not ended yet."""
    return state.run is not None and state.finished is None


def next_aside(aside: ev.Progressed | None, event: ev.Event, state: RunState) -> ev.Progressed | None:
    """Keep the progress of work outside a run until something else begins.

    Args:
        aside: what was kept before.
        event: the event that comes now.
        state: before the event.
    """
    match event:
        case ev.Progressed():
            return None if is_training(state) else event
        case ev.RunStarted() | ev.RunFinished() | ev.ReproductionChanged():
            return None
        case _:
            return aside


def next_estimates(estimates: tuple[float | None, ...], table: ev.ReproductionChanged) -> tuple[float | None, ...]:
    """Keep what each row was expected to take once it no longer waits."""
    before = estimates if len(estimates) == len(table.rows) else (None,) * len(table.rows)
    return tuple(row.seconds if row.status == "waiting" else old for old, row in zip(before, table.rows, strict=True))


def num_ended(table: ev.ReproductionChanged) -> int:
    """Count the rows that need no more work."""
    return sum(row.status in ENDED for row in table.rows)


def current_fraction(scene: Scene) -> float:
    """How far the current row is, in [0, 1]: its run, and all of it while it is evaluated."""
    if scene.current is None:
        return 0.0
    if scene.current.status == "evaluating":
        return 1.0
    return run_fraction(scene.state) if scene.is_training else 0.0


def row_seconds(scene: Scene, index: int) -> float | None:
    """Seconds that a row has taken, or is expected to take while it waits; None where that means nothing."""
    table = scene.table
    if table is None:
        return None
    row = table.rows[index]
    if row.status == "reused" and not row.seconds:
        return None
    if index != table.current or scene.has_ended:
        return row.seconds
    if row.status == "evaluating" and scene.aside is not None:
        return max(row.seconds or 0.0, scene.aside.elapsed)
    is_known = scene.is_training and scene.elapsed_then is not None
    return (row.seconds or 0.0) + (max(0.0, scene.state.elapsed - (scene.elapsed_then or 0.0)) if is_known else 0.0)


def seconds_left(scene: Scene) -> float | None:
    """Estimate the time until the whole table is filled; None as long as a part of it is not known.

    What the current row needs is what its run says, or what the first estimate leaves when that is more: further seeds
    and the measurement come after the run.
    """
    table = scene.table
    if table is None or scene.has_ended:
        return None
    parts = [row.seconds for row in table.rows if row.status == "waiting"]
    if scene.current is not None and scene.current.status in {"running", "evaluating"}:
        parts.append(_seconds_left_of_current(scene))
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def best_index(figures_of_rows: list[float | None]) -> int | None:
    """Find the highest of at least two figures; the first of equals."""
    known = [value for value in figures_of_rows if value is not None]
    return figures_of_rows.index(max(known)) if len(known) > 1 else None


def end_word(table: ev.ReproductionChanged | None, *, has_failed: bool, was_stopped: bool) -> str:
    """Name how the whole ended: FINISHED, INCOMPLETE (rows have failed), STOPPED or FAILED."""
    if has_failed or table is None:
        return "STOPPED" if was_stopped and not has_failed else "FAILED"
    if num_ended(table) < len(table.rows):
        return "STOPPED" if was_stopped else "INCOMPLETE"
    return "INCOMPLETE" if failed_rows(table) else "FINISHED"


def failed_rows(table: ev.ReproductionChanged) -> tuple[ev.ReproductionRow, ...]:
    """Give the rows that failed."""
    return tuple(row for row in table.rows if row.status == "failed")


def failure(table: ev.ReproductionChanged | None) -> str:
    """Say in one sentence which rows failed, or nothing."""
    failed = failed_rows(table) if table else ()
    if table is None or not failed:
        return ""
    causes = "; ".join(f"{safe(row.label, 40)}: {safe(row.reason or 'no reason was given', 300)}" for row in failed)
    return f"{len(failed)} of {len(table.rows)} rows failed: {causes}"


def news(before: ev.ReproductionChanged | None, after: ev.ReproductionChanged) -> list[ev.Notice]:
    """Write one line for the log for each row that has ended since."""
    old = before.rows if before and len(before.rows) == len(after.rows) else (None,) * len(after.rows)
    return [
        _news_of(row, after.columns)
        for was, row in zip(old, after.rows, strict=True)
        if row.status in ENDED and (was is None or was.status != row.status)
    ]


def next_command(scene: Scene) -> str:
    """Choose the command to type after the end: the same again, or the same for the next table of the paper."""
    table = scene.table
    if table is None or scene.moment.word != "FINISHED":
        return scene.command
    words = _without_rows(shlex.split(scene.command))
    if table.table not in TABLES[:-1] or table.table not in words:
        return "claf-tui runs"
    words[words.index(table.table)] = TABLES[TABLES.index(table.table) + 1]
    return shlex.join(words)


def _without_rows(words: Sequence[str]) -> list[str]:
    """A command line without the rows that it asks for: another table has others."""
    kept = [word for word, before in zip(words, ("", *words), strict=False) if ROW not in {word, before}]
    return [word for word in kept if not word.startswith(f"{ROW}=")]


def _seconds_left_of_current(scene: Scene) -> float | None:
    index = scene.table.current if scene.table else None
    if index is None:
        return None
    estimate = scene.estimates[index] if index < len(scene.estimates) else None
    progress = scene.state.progress if scene.is_training else None
    run_left = progress.run_remaining if progress else None
    by_estimate = None if estimate is None else max(0.0, estimate - (row_seconds(scene, index) or 0.0))
    return max((seconds for seconds in (run_left, by_estimate) if seconds is not None), default=None)


def _news_of(row: ev.ReproductionRow, columns: tuple[str, ...]) -> ev.Notice:
    label = safe(row.label, 40)
    if row.status == "failed":
        return ev.Notice("warning", f"{label} failed: {safe(row.reason, 300)}")
    measured = [f"natural {figures.percent(row.natural)}"]
    measured += [f"{safe(name, 20)} {figures.percent(value)}" for name, value in zip(columns, row.robust, strict=False)]
    how = "from an earlier run" if row.status == "reused" else "measured"
    return ev.Notice("info", f"{label} {how}: {', '.join(measured)}")


def caveat(scene: Scene) -> str:
    """Say that the table's figures are not accuracy in a ball, and how far images were moved; empty where they are."""
    table = scene.table
    if table is None or table.space == attack_words.PIXEL:
        return ""
    distances = [row.largest_distance for row in table.rows if row.largest_distance is not None]
    return attack_words.caveat_text(table.space, max(distances, default=None))
