from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.runs.journal import METRICS, Journal
from claf_tui.console.history import WithHistory, history
from tests.tui.consoles import Held, console, screen_text, until
from tests.tui.reports.test_printers import LOGGED
from tests.tui.scripted import robust_figure, run_started


def probe(step: int, accuracy: float) -> ev.ProbeFinished:
    return ev.ProbeFinished(step, 0, step, "attack", 0.8, (robust_figure("8/255", accuracy),), 1.0)


def step(number: int) -> ev.StepLogged:
    return replace(LOGGED, step=number, phase=0, loss=5.0, elapsed=2.0 * number)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A run that was stopped at step 40, went on from there, and has not logged anything since."""
    folder = tmp_path / "run"
    folder.mkdir()
    journal = Journal(folder)
    journal.open()
    begun = [run_started(folder), *map(step, range(10, 41, 10)), probe(20, 0.45), probe(40, 0.2)]
    for event in (*begun, ev.RunFinished("stopped", 40, 80.0), run_started(folder, resumed_from_step=40)):
        journal.append(event)
    journal.close()
    return folder


def resumed(directory: Path) -> Held:
    return Held(run_started(directory, resumed_from_step=40), ev.PhaseStarted(0, "contrastive", 2), step(50))


async def test_a_resumed_run_shows_its_curves_and_its_best_from_the_beginning_on(directory: Path) -> None:
    async with console(WithHistory(resumed(directory)), (140, 45)) as (app, _):
        await until(lambda: app.state.step == 50)
        (curve,) = app.state.losses.values()
        assert [point.x for point in curve.points] == [10, 20, 30, 40, 50]
        assert app.state.finished is None
        assert app.state.elapsed == 100.0
        await until(lambda: "20.0% ▼25.0 from best 45.0% (epoch 20)" in screen_text(app))


async def test_without_its_history_a_resumed_run_begins_with_empty_charts(directory: Path) -> None:
    async with console(resumed(directory), (140, 45)) as (app, _):
        await until(lambda: app.state.step == 50)
        assert [len(curve.points) for curve in app.state.losses.values()] == [1]


def test_history_ends_before_the_start_that_goes_on_and_leaves_out_earlier_ends(directory: Path) -> None:
    told = list(history(directory))
    assert [type(event).__name__ for event in told] == [
        "RunStarted",
        *["StepLogged"] * 4,
        *["ProbeFinished"] * 2,
    ]


def test_a_start_that_is_not_in_the_journal_yet_takes_nothing_away(directory: Path) -> None:
    journal = Journal(directory)
    journal.open()
    journal.append(step(60))
    journal.close()
    assert list(history(directory))[-1] == step(60)


def test_a_copied_run_is_told_under_its_own_name(directory: Path) -> None:
    copy = directory.rename(directory.with_name("copy"))
    started = next(history(copy))
    assert isinstance(started, ev.RunStarted)
    assert (started.run, started.directory) == ("copy", str(copy))


def test_a_new_run_is_told_as_it_is(directory: Path) -> None:
    def engine(_control: Control) -> Iterator[ev.Event]:
        yield run_started(directory)

    assert list(WithHistory(engine)(Control())) == [run_started(directory)]


def test_a_journal_that_cannot_be_read_is_said_and_does_not_keep_a_run_from_going_on(directory: Path) -> None:
    (directory / METRICS).unlink()
    (directory / METRICS).mkdir()
    control = Control()
    control.stop()
    told = list(WithHistory(resumed(directory))(control))
    assert isinstance(told[0], ev.Notice)
    assert told[0].text.startswith("what the run went through before is not shown: ")
    assert told[1] == run_started(directory, resumed_from_step=40)
