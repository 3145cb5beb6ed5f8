from pathlib import Path

from claf_tui.screens.help import HelpScreen
from tests.tui.consoles import screen_text, until
from tests.tui.screens.runs.browsing import listing, make_runs, rows


async def test_help_tells_the_keys_the_filter_and_what_interrupted_means(tmp_path: Path) -> None:
    make_runs(tmp_path)
    async with listing(tmp_path, (140, 60)) as (app, pilot):
        await pilot.press("question_mark")
        await until(lambda: isinstance(app.screen, HelpScreen))
        await pilot.pause()
        assert all(text in screen_text(app) for text in ("delete it for good", "method:claf", "nobody holds"))


async def test_the_palette_offers_what_can_be_done_with_the_chosen_run(tmp_path: Path) -> None:
    async with listing(tmp_path) as (app, _):
        offered = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Filter", "Sort", "New run", "Help"} <= offered
        assert "Delete" not in offered
    make_runs(tmp_path)
    async with listing(tmp_path) as (app, _):
        offered = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Open", "Resume", "Checkpoints", "Note", "Tags", "Archive", "Delete"} <= offered


async def test_q_leaves_with_0_and_nothing_asked_for(tmp_path: Path) -> None:
    make_runs(tmp_path)
    async with listing(tmp_path) as (app, pilot):
        assert len(rows(app)) == 4
        await pilot.press("q")
        assert (app.return_value, app.return_code) == (None, 0)
