from pathlib import Path

from claf_tui.console.comparison_app import ComparisonApp
from claf_tui.screens.comparison import ComparisonScreen
from claf_tui.screens.comparison_help import ComparisonHelp
from tests.tui.compared import compared_folder
from tests.tui.consoles import screen_text, until


async def test_the_app_opens_the_comparison_explains_it_and_leaves(tmp_path: Path) -> None:
    app = ComparisonApp([compared_folder(tmp_path, name, method="at") for name in "ab"])
    async with app.run_test(size=(100, 30)) as pilot:
        await until(lambda: "A ● a" in screen_text(app))
        await pilot.press("question_mark")
        await until(lambda: isinstance(app.screen, ComparisonHelp))
        assert "forward passes" in screen_text(app)
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, ComparisonScreen))
        await pilot.press("q")
    assert app.return_code == 0


async def test_escape_leaves_the_app_where_there_is_nothing_to_take_back(tmp_path: Path) -> None:
    app = ComparisonApp([compared_folder(tmp_path, name, method="at") for name in "ab"])
    async with app.run_test(size=(100, 30)) as pilot:
        await until(lambda: "A ● a" in screen_text(app))
        await pilot.press("escape")
        await until(lambda: app.return_code is not None or not app.is_running)
    assert app.return_code == 0
