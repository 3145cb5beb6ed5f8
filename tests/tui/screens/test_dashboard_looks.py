"""The dashboard as files, at four sizes, in each state that a person may meet."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from claf_engine.events.control import Control
from claf_tui.screens.dashboard import Dashboard
from claf_tui.state import RunState
from claf_tui.state.moment import Moment
from claf_tui.state.other_run import OtherRun
from tests.tui.goldens import assert_golden
from tests.tui.scripted_two_days import MOMENT, two_days_state
from tests.tui.staged import SIZES, Stage, staged

GOLDEN = Path(__file__).parent / "golden"
KEYS = {
    "running": (),
    "zoomed": ("up", "up", "left", *["shift+left"] * 3),
    "epochs": ("x", "2", "l"),
    "alone": ("f",),
}


@pytest.fixture(autouse=True)
def _clock_of_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@asynccontextmanager
async def shown(
    size: tuple[int, int], state: RunState, moment: Moment = MOMENT
) -> AsyncIterator[tuple[Stage, Pilot[None], Dashboard]]:
    board = Dashboard(Control())
    async with staged(board, size) as (app, pilot):
        board.show(state, moment)
        await pilot.pause()
        yield app, pilot, board


def golden(name: str, size: tuple[int, int]) -> Path:
    return GOLDEN / f"dashboard_{name}_{size[0]}x{size[1]}.txt"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", KEYS)
async def test_a_run_of_two_days_looks_as_recorded(name: str, size: tuple[int, int]) -> None:
    async with shown(size, two_days_state()) as (app, pilot, _):
        await pilot.press(*KEYS[name])
        await pilot.pause()
        assert_golden(app, golden(name, size))


@pytest.mark.parametrize("size", SIZES)
async def test_another_run_laid_over_looks_as_recorded(size: tuple[int, int]) -> None:
    async with shown(size, two_days_state()) as (app, pilot, board):
        board._take_other(Path("wide"), OtherRun("wide", two_days_state(name="wide", worse_by=0.3)))
        await pilot.pause()
        assert_golden(app, golden("compared", size))


@pytest.mark.parametrize("size", SIZES)
async def test_before_the_first_event_it_looks_as_recorded(size: tuple[int, int]) -> None:
    async with shown(size, RunState(), replace(MOMENT, word="STARTING", waited=4.0)) as (app, _, _):
        assert_golden(app, golden("starting", size))


@pytest.mark.parametrize("size", SIZES)
async def test_a_pause_looks_as_recorded(size: tuple[int, int]) -> None:
    async with shown(size, two_days_state(), replace(MOMENT, word="PAUSED")) as (app, _, _):
        assert_golden(app, golden("paused", size))
