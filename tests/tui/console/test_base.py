import gc
import sys
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_tui.console.base import BROWSER, set_loaded_aside
from tests.tui.consoles import Held, console, until
from tests.tui.scripted import run_started


def test_what_is_loaded_when_a_run_begins_is_spared_by_the_garbage_collector() -> None:
    gc.unfreeze()  # the tests have set aside what was loaded before them, and so it is again in the end
    assert gc.get_freeze_count() == 0
    set_loaded_aside()
    assert gc.get_freeze_count() > len(gc.get_objects())


async def test_a_checkpoint_does_not_load_the_browser_that_nobody_has_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, BROWSER, raising=False)
    saved = ev.CheckpointSaved(5, 0, "x", 1, ("last",), 0.1)
    async with console(Held(run_started(tmp_path), saved)) as (app, _):
        await until(lambda: app.state.checkpoints)
        app.poll()
        assert BROWSER not in sys.modules


async def test_the_browser_is_loaded_before_its_key_is_pressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, BROWSER, raising=False)
    monkeypatch.setattr("claf_tui.console.base.PRELOAD_SECONDS", 0.01)
    async with console(Held(run_started(tmp_path))):
        await until(lambda: BROWSER in sys.modules)


async def test_the_frame_does_not_move_where_nothing_may_be_drawn_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(Held(run_started(tmp_path))) as (app, _):
        await until(lambda: app.state.run)
        monkeypatch.setattr("claf_tui.console.base.CPU_SHARE", 0.0)
        monkeypatch.setattr("claf_tui.console.pace.SLOWEST", 1e9)
        app.poll()
        drawn = app._frame
        for _ in range(5):
            app.poll()
        assert app._frame == drawn
        app.control.pause()
        app.poll()
        await until(lambda: app._drawn_word in {"PAUSING", "PAUSED"})
