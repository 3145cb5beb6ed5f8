import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.terms.errors import DeviceError
from claf_tui.console.reproduce_app import ReproductionApp
from claf_tui.screens.confirm_dialog import ConfirmScreen
from claf_tui.screens.help import ReproductionHelp
from claf_tui.screens.run_board import RunBoard
from claf_tui.words import exit_codes
from tests.tui.consoles import HANG, SIZES, screen_lines, screen_text, until
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted import run_started
from tests.tui.scripted_reproduction import Reproduction, table, waiting_rows

Engine = Callable[[Control], Iterator[ev.Event]]


@asynccontextmanager
async def console(
    engine: Engine, size: tuple[int, int] = (140, 45)
) -> AsyncIterator[tuple[ReproductionApp, Pilot[object]]]:
    app = ReproductionApp(engine, Control())
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            yield app, pilot  # type: ignore[misc]
    finally:
        app.control.stop()
        await asyncio.to_thread(app.thread.join, HANG)


def training(directory: Path, current: int = 1, **changes: object) -> Iterator[ev.Event]:
    """The events of a reproduction whose run of one row has begun."""
    rows = waiting_rows()
    rows = (*rows[:current], replace(rows[current], status="running", runs=("run",)), *rows[current + 1 :])
    yield table(rows, current, **changes)
    yield run_started(directory / "run")
    yield ev.PhaseStarted(0, "contrastive", 0)
    yield ev.StepLogged(4, 0, 1, "encoder", "supcon", 2.5, 0.1, 800.0, 3.0)


def held(directory: Path, **changes: object) -> Engine:
    """An engine that trains one row until it is stopped."""

    def play(control: Control) -> Iterator[ev.Event]:
        yield from training(directory, **changes)
        while not control.stop_requested:
            control.wait_while_paused(0.02)
            time.sleep(0.02)
        yield ev.RunFinished("stopped", 4, 3.0, checkpoint="last")
        yield table(waiting_rows(), None, **changes)

    return play


def fits(app: ReproductionApp) -> bool:
    """Whether every widget that is shown lies on the screen."""
    regions = [widget.region for widget in app.screen.walk_children() if widget.display]
    return all(region.height == 0 or app.screen.region.contains_region(region) for region in regions)


@pytest.mark.parametrize("size", [(80, 24), (140, 45)])
async def test_the_table_fills_and_stays_with_the_next_command(tmp_path: Path, size: tuple[int, int]) -> None:
    async with console(Reproduction(tmp_path, fails=frozenset()), size) as (app, pilot):
        await until(lambda: "6 rows: 5 measured, 1 from earlier runs" in screen_text(app))
        assert "FINISHED" in screen_lines(app)[0]
        assert "★51.7" in screen_text(app)
        assert "next:" in screen_text(app)
        assert app.is_running
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert app.return_code == 0


async def test_the_end_of_one_run_is_not_the_end_of_all(tmp_path: Path) -> None:
    def engine(control: Control) -> Iterator[ev.Event]:
        yield from training(tmp_path)
        yield ev.RunFinished("finished", 4, 3.0)
        while not control.stop_requested:
            control.wait_while_paused(0.02)
            time.sleep(0.02)

    async with console(engine) as (app, _):
        await until(lambda: app.state.finished)
        for _ in range(3):
            app.poll()
            assert app.is_live
            assert not app.has_ended
        await until(lambda: "RUNNING" in screen_lines(app)[0])
        app.control.stop()
        await until(lambda: "STOPPED" in screen_lines(app)[0])


async def test_a_row_that_failed_says_why_and_leaves_with_a_code_of_its_own(tmp_path: Path) -> None:
    async with console(Reproduction(tmp_path)) as (app, pilot):
        await until(lambda: "INCOMPLETE" in screen_lines(app)[0])
        await until(lambda: "└ the loss is NaN at step 240" in screen_text(app))
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert app.return_code == exit_codes.ROW_FAILED
    assert app.reason.startswith("1 of 6 rows failed: RoCL-AT: the loss is NaN")


async def test_an_engine_that_raises_leaves_with_the_code_of_its_error(tmp_path: Path) -> None:
    error = DeviceError("the GPU ran out of memory; lower the batch size")
    async with console(Reproduction(tmp_path, error=error), (80, 24)) as (app, pilot):
        await until(lambda: "FAILED" in screen_lines(app)[0])
        await until(lambda: "the GPU ran out of memory" in screen_text(app))
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert app.return_code == DeviceError.exit_code


async def test_a_crash_after_a_row_that_failed_is_a_crash(tmp_path: Path) -> None:
    def engine(_: Control) -> Iterator[ev.Event]:
        failed = replace(waiting_rows()[0], status="failed", reason="the loss is NaN")
        yield table((failed, *waiting_rows()[1:]), 1)
        raise ZeroDivisionError("division by zero")

    async with console(engine) as (app, pilot):
        await until(lambda: "FAILED" in screen_lines(app)[0])
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert app.return_code == exit_codes.UNEXPECTED
    assert app.reason == "ZeroDivisionError: division by zero"


async def test_what_is_told_after_the_last_poll_counts_for_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_tui.console.base.POLLS_PER_SECOND", 0.01)
    failed = table((replace(waiting_rows()[0], status="failed", reason="the loss is NaN"), *waiting_rows()[1:]), None)
    async with console(lambda _: iter([failed])) as (app, pilot):
        await until(lambda: app.thread.join(0))
        assert app.state.reproduction is None
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert app.return_code == exit_codes.ROW_FAILED


async def test_an_engine_that_fails_at_once_says_why() -> None:
    def engine(_: Control) -> Iterator[ev.Event]:
        raise DeviceError("there is no GPU here; use --scale tiny")
        yield

    async with console(engine, (80, 24)) as (app, _):
        await until(lambda: "there is no GPU here; use --scale tiny" in screen_text(app))
        assert app.exit_code == DeviceError.exit_code


async def test_everything_fits_at_every_size(tmp_path: Path) -> None:
    async with console(held(tmp_path)) as (app, pilot):
        await until(lambda: app.state.losses)
        for size in (*SIZES, (120, 40), (40, 12), (20, 6)):
            await pilot.resize_terminal(*size)
            await until(lambda size=size: (len(screen_lines(app)[0]), len(screen_lines(app))) == size)
            await until(lambda: "RUNNING" in screen_lines(app)[0])
            await until(lambda size=size: size[1] < 24 or fits(app))


async def test_space_pauses_and_the_row_says_so(tmp_path: Path) -> None:
    async with console(held(tmp_path)) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("space")
        await until(lambda: "PAUSED" in screen_lines(app)[0] and "paused" in screen_text(app))
        await until(lambda: "‖ SCL" in screen_text(app))
        await pilot.press("space")
        await until(lambda: "RUNNING" in screen_lines(app)[0])


@pytest.mark.parametrize("key", ["d", "enter"])
async def test_the_dashboard_of_the_run_opens_and_escape_leads_back(tmp_path: Path, key: str) -> None:
    async with console(held(tmp_path)) as (app, pilot):
        await until(lambda: app.state.losses)
        for _ in range(2):
            await pilot.press(key)
            await until(lambda: isinstance(app.screen, RunBoard) and "esc table" in screen_lines(app)[-1])
            await pilot.press("escape")
            await until(lambda: "TRADES" in screen_text(app))


async def test_stopping_from_the_dashboard_asks_about_the_whole(tmp_path: Path) -> None:
    async with console(held(tmp_path)) as (app, pilot):
        await until(lambda: app.state.losses)
        await pilot.press("d")
        await until(lambda: isinstance(app.screen, RunBoard))
        await pilot.press("s")
        await until(lambda: "The reproduction is live" in screen_text(app))


async def test_leaving_asks_then_stops_and_saves(tmp_path: Path) -> None:
    async with console(held(tmp_path)) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("q")
        await until(lambda: isinstance(app.screen, ConfirmScreen))
        assert "The same command goes on from there" in screen_text(app)
        await pilot.press("n")
        assert not app.control.stop_requested
        await pilot.press("q", "y")
        await until(lambda: not app.is_running)
    assert app.return_code == 0
    assert app.state.finished is not None
    assert app.state.finished.checkpoint == "last"


async def test_before_a_run_there_is_no_dashboard_to_open() -> None:
    def engine(control: Control) -> Iterator[ev.Event]:
        while not control.stop_requested:
            control.wait_while_paused(0.02)
            time.sleep(0.02)
            yield ev.Progressed.of_activity("timing a few steps", 0.5)

    async with console(engine, (80, 24)) as (app, pilot):
        await until(lambda: "timing a few steps" in screen_text(app))
        await pilot.press("d")
        await until(lambda: "no run has begun yet" in screen_text(app))


async def test_the_run_of_another_row_is_not_shown_as_that_of_the_current_one(tmp_path: Path) -> None:
    def engine(control: Control) -> Iterator[ev.Event]:
        yield from training(tmp_path, current=1)
        yield ev.ProbeFinished(4, 0, 1, "attack", 0.777, (), 1.0)
        yield ev.RunFinished("finished", 4, 3.0)
        rows = (*waiting_rows()[:2], replace(waiting_rows()[2], status="running"), *waiting_rows()[3:])
        yield table(rows, 2)
        while not control.stop_requested:
            control.wait_while_paused(0.02)
            time.sleep(0.02)

    async with console(engine) as (app, _):
        await until(lambda: "current run: AT" in screen_text(app))
        await until(lambda: "no loss logged yet" in screen_text(app))
        assert "probe natural 77.7%" not in screen_text(app)


async def test_progress_of_an_evaluation_does_not_move_the_phases_of_its_run(tmp_path: Path) -> None:
    def engine(control: Control) -> Iterator[ev.Event]:
        yield from training(tmp_path)
        yield ev.RunFinished("finished", 4, 3.0)
        rows = (waiting_rows()[0], replace(waiting_rows()[1], status="evaluating", runs=("run",)), *waiting_rows()[2:])
        yield table(rows, 1)
        while not control.stop_requested:
            yield replace(ev.Progressed.of_activity("PGD-10 on test images", 0.5), elapsed=9.0)
            control.wait_while_paused(0.02)
            time.sleep(0.02)

    async with console(engine) as (app, _):
        await until(lambda: "PGD-10 on test images" in screen_text(app))
        assert app.state.phases[0].status == "done"
        assert app.state.phases[0].fraction == 1.0


async def test_a_space_that_is_no_ball_is_told_on_the_title_and_at_the_figures(tmp_path: Path) -> None:
    async with console(held(tmp_path, space="released-code")) as (app, _):
        await until(lambda: screen_text(app).count("released-code: not an ε-ball") == 3)


async def test_help_explains_the_signs_of_this_screen(tmp_path: Path) -> None:
    async with console(held(tmp_path)) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("question_mark")
        await until(lambda: isinstance(app.screen, ReproductionHelp))
        await until(lambda: "↺ reused" in screen_text(app))


async def test_foreign_text_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    rows = tuple(
        replace(row, label=EVERYTHING, method=EVERYTHING, runs=(EVERYTHING,), status="failed", reason=EVERYTHING)
        for row in waiting_rows()
    )
    words: dict[str, object] = dict.fromkeys(("table", "title", "scale", "space", "directory"), EVERYTHING)
    told = table(rows, 0, columns=(EVERYTHING, EVERYTHING), **words)
    async with console(lambda _: iter([told])) as (app, pilot):
        await until(lambda: "INCOMPLETE" in screen_text(app))
        for size in ((140, 45), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.1)
            assert all(line.isprintable() for line in screen_lines(app))


def test_importing_it_leaves_torch_alone() -> None:
    code = "import sys, claf_tui.console.reproduce_app; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG)
