from pathlib import Path

from claf_engine import events as ev
from tests.tui.consoles import Held, console, until
from tests.tui.scripted import run_started


async def test_a_click_chooses_a_panel_and_two_show_it_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    held = Held(run_started(tmp_path / "run"), ev.PhaseStarted(0, "contrastive", 0))
    async with console(held) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.click("#panel-log")
        assert app.screen.query_one("#panel-log").has_class("-selected")
        assert not app.screen.has_class("-maximised")
        await pilot.click("#panel-log", times=2)
        assert app.screen.has_class("-maximised")
