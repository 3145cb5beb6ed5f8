import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_tui.console.train_app import TrainingApp
from tests.tui.consoles import HANG, until
from tests.tui.scripted_long import FLAT, MANY, Memory, long_run

PIECE = 2_500
"""Events that are told before the console is waited for; its store keeps more."""


class Paced:
    """An engine that tells a long run piece by piece, each when it is asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._asked = threading.Semaphore(0)
        self.num_told = 0

    def ask(self) -> None:
        self._asked.release()

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        for number, event in enumerate(long_run(self._directory)):
            while number % PIECE == 0 and not self._asked.acquire(timeout=0.05):
                if control.stop_requested:
                    return
            yield event
            self.num_told = number + 1


@pytest.mark.slow
async def test_the_dashboard_of_a_long_run_takes_no_more_memory_than_after_a_while(tmp_path: Path) -> None:
    engine, memory = Paced(tmp_path), Memory(MANY)
    app = TrainingApp(engine, Control())
    # Toasts that have gone stay in Textual's caches of layouts: not without bound, but for longer than this takes.
    async with app.run_test(size=(140, 45), notifications=False) as pilot:
        while engine.num_told < MANY:
            wanted = min(MANY, engine.num_told + PIECE)
            engine.ask()
            await until(lambda wanted=wanted: engine.num_told >= wanted)
            await until(lambda: app.state.step >= engine.num_told - 8)
            await pilot.press("2" if wanted // PIECE % 2 else "4", "escape")
            memory.look(wanted)
        engine.ask()
        await asyncio.to_thread(app.thread.join, HANG)
    assert memory.growth < FLAT
