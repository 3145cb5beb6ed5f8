from pathlib import Path

from claf_tui.console.comparison_app import ComparisonApp
from claf_tui.console.preferences import keep_theme, preferences_file
from claf_tui.screens.comparison import ComparisonScreen
from claf_tui.screens.comparison_help import ComparisonHelp
from tests.tui.compared import compared_folder
from tests.tui.consoles import screen_text, text_in, until


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


async def test_a_comparison_takes_a_persons_keys_and_theme(tmp_path: Path) -> None:
    keep_theme("claf-light")
    preferences_file().parent.mkdir(parents=True, exist_ok=True)
    preferences_file().write_text('[keys]\n"comparison.x-axis" = "X"\n"comparison.help" = "H"\n"app.quit" = "Q"')
    app = ComparisonApp([compared_folder(tmp_path, name, method="at") for name in "ab"])
    async with app.run_test(size=(140, 45)) as pilot:
        await until(lambda: "A ● a" in screen_text(app))
        assert app.theme == "claf-light"
        assert "X axis" in text_in(app, "#keys")
        await pilot.press("x")
        assert "optimiser steps" in screen_text(app)
        await pilot.press("X")
        await until(lambda: "optimiser steps" not in screen_text(app))
        await pilot.press("H")
        await until(lambda: "X             count steps" in screen_text(app))
        await pilot.press("escape", "Q")
    assert app.return_code == 0
