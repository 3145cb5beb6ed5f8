from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from claf_tui.state import MAX_LOG_LINES, LogLine, RunState, log
from claf_tui.widgets.log_panel import HANG, MAX_ROWS, LogPanel, log_rows
from tests.tui.consoles import screen_lines, screen_text, until
from tests.tui.hostile import EVERYTHING

LONG = "a checkpoint of many words that does not fit into one row of a narrow screen, and so hangs under itself"


class LogApp(App[None]):
    CSS = "LogPanel { height: 1fr; width: 100%; }"

    def compose(self) -> ComposeResult:
        yield LogPanel()

    @property
    def panel(self) -> LogPanel:
        return self.query_one(LogPanel)


@asynccontextmanager
async def shown(state: RunState, size: tuple[int, int] = (60, 10)) -> AsyncIterator[tuple[LogApp, Pilot[None]]]:
    app = LogApp()
    async with app.run_test(size=size) as pilot:
        app.panel.show(state)
        await pilot.pause()
        yield app, pilot


def logged(num_lines: int, state: RunState | None = None) -> RunState:
    state = state or RunState()
    for _ in range(num_lines):
        state = log(state, "info", f"line {state.num_log_lines}")
    return state


@pytest.mark.parametrize("width", [24, 40, 60, 120])
def test_a_long_line_hangs_under_its_text_and_is_whole(width: int) -> None:
    rows = log_rows(LogLine("warning", LONG, 61.0), width)
    assert all(len(row.clock + row.text) <= width for row in rows)
    assert rows[0].clock.strip() == "1:01"
    assert all(row.clock == " " * HANG for row in rows[1:])
    assert " ".join(row.text for row in rows) == f"! {LONG}"


def test_foreign_text_is_cleaned() -> None:
    assert all((row.clock + row.text).isprintable() for row in log_rows(LogLine("error", EVERYTHING, 1.0), 50))


async def test_the_newest_line_is_at_the_end_of_the_panel() -> None:
    async with shown(logged(50)) as (app, _):
        await until(lambda: "line 49" in screen_lines(app)[-1])
        assert "line 39" not in screen_text(app)


async def test_new_lines_follow_without_those_that_are_there_being_written_again() -> None:
    state = logged(3)
    async with shown(state) as (app, pilot):
        app.panel.show(state)
        app.panel.show(logged(1, state))
        await pilot.pause()
        await until(lambda: "line 3" in screen_text(app))
        assert screen_text(app).count("line ") == 4


async def test_whoever_has_scrolled_up_stays_there() -> None:
    state = logged(50)
    async with shown(state) as (app, pilot):
        app.panel.scroll_to(y=5, animate=False)
        await until(lambda: "line 5" in screen_lines(app)[0])
        app.panel.show(logged(5, state))
        await pilot.pause()
        assert "line 5" in screen_lines(app)[0]


async def test_another_width_wraps_all_lines_anew() -> None:
    state = log(RunState(), "info", LONG)
    async with shown(state, (40, 10)) as (app, pilot):
        await until(lambda: "hangs under" in " ".join(screen_text(app).split()))
        rows = sum(bool(line.strip()) for line in screen_lines(app))
        await pilot.resize_terminal(120, 10)
        await until(lambda: sum(len(line.strip()) > 1 for line in screen_lines(app)) < rows)


async def test_rows_are_kept_up_to_a_bound() -> None:
    async with shown(RunState(), (24, 10)) as (app, _):
        state = RunState()
        for _ in range(4):
            for number in range(MAX_LOG_LINES):
                state = log(state, "info", f"{LONG} {number}")
            app.panel.show(state)
        assert app.panel.virtual_size.height == MAX_ROWS


@pytest.mark.parametrize(("level", "color"), [("warning", "yellow"), ("error", "red")])
async def test_what_is_not_just_information_has_a_colour(level: str, color: str) -> None:
    async with shown(log(RunState(), level, "look")) as (app, _):  # type: ignore[arg-type]
        segments = list(app.panel.render_line(0))
        (found,) = [segment.style for segment in segments if "look" in segment.text]
        assert found is not None
        assert found.color is not None
        assert found.color.name == color
