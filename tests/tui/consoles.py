"""What the console tests share: an app around a script, waiting with a limit, the text on the screen."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.app import App
from textual.pilot import Pilot

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_tui.console.remote import Remote
from claf_tui.console.train_app import TrainingApp
from tests.tui.scripted import Script

HANG = 60.0
"""Seconds after which what a test waits for is taken to never happen, on a slow machine under a heavy load."""
SIZES = ((80, 24), (100, 30), (140, 45), (200, 60))


async def until(claim: Callable[[], object]) -> None:
    """Wait until a claim holds, and fail where it never does."""
    deadline = time.monotonic() + HANG
    while not claim():
        assert time.monotonic() < deadline, f"it did not happen within {HANG:g} s"
        await asyncio.sleep(0.01)


def screen_lines(app: App[object]) -> list[str]:
    """The text on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def screen_text(app: App[object]) -> str:
    return "\n".join(screen_lines(app))


def text_in(app: App[object], selector: str) -> str:
    """The words that the screen shows in the place of one widget, whatever lines they are broken into."""
    place = app.screen.query_one(selector).content_region
    lines = screen_lines(app)[place.y : place.bottom]
    return " ".join(" ".join(line[place.x : place.right] for line in lines).split())


class Held:
    """An engine that plays given events and then idles, steered by `Control`, until it is stopped."""

    def __init__(self, *events: ev.Event, saves: bool = True) -> None:
        self.events = events
        self.saves = saves
        self.deadline = time.monotonic() + HANG
        self.taken: list[object] = []

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        yield from self.events
        while not control.stop_requested:
            control.wait_while_paused()
            requests = control.take_requests()
            if requests != type(requests)():
                self.taken.append(requests)
            time.sleep(0.02)
        while not self.saves and time.monotonic() < self.deadline:
            time.sleep(0.02)
        yield ev.RunFinished("stopped", 10, 1.0)


@asynccontextmanager
async def console(
    engine: Callable[[Control], Iterator[ev.Event]],
    size: tuple[int, int] = (140, 45),
    *,
    read_only: bool = False,
    remote: Remote | None = None,
    why_not: str = "",
) -> AsyncIterator[tuple[TrainingApp, Pilot[object]]]:
    """Run a console around an engine and stop the engine afterwards."""
    app = TrainingApp(engine, Control(), read_only=read_only, remote=remote, why_not=why_not)
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            yield app, pilot  # type: ignore[misc]
    finally:
        app.control.stop()
        await asyncio.to_thread(app.thread.join, HANG)


def finished_run(directory: Path) -> Script:
    return Script(directory / "run")
