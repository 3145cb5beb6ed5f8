from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_tui.state import RunState, reduce
from claf_tui.state.moment import Moment
from claf_tui.state.reproduction import (
    Scene,
    end_word,
    failure,
    news,
    next_aside,
    next_command,
    next_estimates,
    row_seconds,
    seconds_left,
)
from tests.tui.scripted import run_started
from tests.tui.scripted_reproduction import table, waiting_rows


def rows(*statuses: str, **changes: object) -> tuple[ev.ReproductionRow, ...]:
    """All rows of the table, the first ones with these statuses and changes."""
    changed = [replace(row, status=status, **changes) for row, status in zip(waiting_rows(), statuses, strict=False)]  # type: ignore[arg-type]
    return (*changed, *waiting_rows()[len(statuses) :])


def progressed(**changes: object) -> ev.Progressed:
    event = ev.Progressed(0, 1, 2, "training", 0.5, 0.5, 0.5, 100.0, 50.0, None, 80.0, None, 0, 5)
    return replace(event, **changes)  # type: ignore[arg-type]


def training() -> RunState:
    return reduce(RunState(), run_started(Path("run")))


def scene(told: ev.ReproductionChanged, state: RunState | None = None, word: str = "RUNNING", **more: object) -> Scene:
    held = replace(state or RunState(), reproduction=told)
    return Scene(held, Moment(word), **more)  # type: ignore[arg-type]


def test_progress_is_kept_aside_only_while_no_run_is_training() -> None:
    loading = progressed(activity="reading the images")
    assert next_aside(None, loading, RunState()) == loading
    assert next_aside(loading, progressed(), training()) is None
    ended = replace(training(), finished=ev.RunFinished("finished", 1, 1.0))
    assert next_aside(None, loading, ended) == loading
    assert next_aside(loading, ev.Notice("info", "x"), ended) == loading
    assert next_aside(loading, table(waiting_rows(), 1), ended) is None


def test_the_time_left_is_that_of_the_run_and_of_the_rows_that_wait() -> None:
    told = table(rows("finished", "running"), current=1)
    state = reduce(training(), progressed(run_remaining=500.0))
    assert seconds_left(scene(told, state)) == 500 + sum(row.seconds or 0 for row in told.rows[2:])


def test_before_the_run_tells_its_time_left_the_first_estimate_counts() -> None:
    before = next_estimates((), table(waiting_rows()))
    told = table(rows("running", seconds=20.0), current=0)
    left = seconds_left(scene(told, estimates=next_estimates(before, told)))
    assert left == sum(row.seconds or 0 for row in waiting_rows()) - 20


def test_an_unknown_part_makes_the_time_left_unknown() -> None:
    assert seconds_left(scene(table(rows("waiting", seconds=None)))) is None


def test_the_time_of_a_resumed_row_counts_this_session_only() -> None:
    told = table(rows("running", seconds=3.0), current=0)
    state = reduce(training(), progressed(elapsed=1000.0))
    assert row_seconds(scene(told, state, elapsed_then=990.0), 0) == 13.0
    assert row_seconds(scene(told, state), 0) == 3.0


@pytest.mark.parametrize(
    ("statuses", "has_failed", "was_stopped", "word"),
    [
        (("finished",) * 6, False, False, "FINISHED"),
        (("finished",) * 6, False, True, "FINISHED"),
        (("finished", "failed", "reused", "finished", "finished", "finished"), False, False, "INCOMPLETE"),
        (("finished",), False, True, "STOPPED"),
        (("finished",), False, False, "INCOMPLETE"),
        (("finished",), True, False, "FAILED"),
    ],
)
def test_the_end_is_named_after_what_happened(
    statuses: tuple[str, ...], has_failed: bool, was_stopped: bool, word: str
) -> None:
    assert end_word(table(rows(*statuses)), has_failed=has_failed, was_stopped=was_stopped) == word


def test_an_engine_that_leaves_before_telling_of_a_table_has_failed_unless_stopped() -> None:
    assert end_word(None, has_failed=False, was_stopped=False) == "FAILED"
    assert end_word(None, has_failed=False, was_stopped=True) == "STOPPED"


def test_each_row_that_ends_is_news_once() -> None:
    before, after = table(rows("running")), table(rows("finished", natural=0.9, robust=(0.5, None)))
    assert [line.text for line in news(before, after)] == ["Natural measured: natural 90.0%, 8/255 50.0%, 16/255 –"]
    assert news(after, after) == []


def test_failed_rows_are_counted_with_their_reasons() -> None:
    assert failure(table(rows("finished"))) == ""
    assert failure(table(rows("failed", reason="the loss is NaN"))) == "1 of 6 rows failed: Natural: the loss is NaN"


@pytest.mark.parametrize(
    ("word", "name", "command"),
    [
        ("FINISHED", "table1", "claf-tui reproduce table2 --scale tiny --data 'folder:my images'"),
        ("STOPPED", "table1", "claf-tui reproduce table1 --scale tiny --data 'folder:my images'"),
        ("FINISHED", "figure1", "claf-tui reproduce robust --scale tiny --data 'folder:my images'"),
        ("FINISHED", "robust", "claf-tui runs"),
    ],
)
def test_the_next_command_is_the_same_again_or_that_of_the_next_table(word: str, name: str, command: str) -> None:
    typed = f"claf-tui reproduce {name} --scale tiny --data 'folder:my images'"
    assert next_command(scene(table(waiting_rows(), table=name), word=word, command=typed)) == command


def test_the_command_of_the_next_table_asks_for_no_row_of_this_one() -> None:
    typed = "claf-tui reproduce table1 --row CLAF --scale tiny --row=AT"
    shown = table(waiting_rows(), table="table1")
    assert next_command(scene(shown, word="FINISHED", command=typed)) == "claf-tui reproduce table2 --scale tiny"
    assert next_command(scene(shown, word="STOPPED", command=typed)) == typed, "the same again"
