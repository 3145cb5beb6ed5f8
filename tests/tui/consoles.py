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
from claf_tui.console.train_app import TrainingApp
from tests.tui.scripted import Script

SIZES = ((80, 24), (100, 30), (140, 45), (200, 60))


async def until(claim: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait until a claim holds, and fail when it does not in time."""
    for _ in range(int(seconds / 0.01)):
        if claim():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


def screen_lines(app: App[object]) -> list[str]:
    """The text on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def screen_text(app: App[object]) -> str:
    return "\n".join(screen_lines(app))


class Held:
    """An engine that plays given events and then idles, steered by `Control`, until it is stopped."""

    def __init__(self, *events: ev.Event, saves: bool = True) -> None:
        self.events = events
        self.saves = saves
        self.deadline = time.monotonic() + 20
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
    engine: Callable[[Control], Iterator[ev.Event]], size: tuple[int, int] = (140, 45), *, read_only: bool = False
) -> AsyncIterator[tuple[TrainingApp, Pilot[object]]]:
    """Run a console around an engine and stop the engine afterwards."""
    app = TrainingApp(engine, Control(), read_only=read_only)
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            yield app, pilot  # type: ignore[misc]
    finally:
        app.control.stop()
        await asyncio.to_thread(app.thread.join, 5)


def finished_run(directory: Path) -> Script:
    return Script(directory / "run")
