"""A console in a person's own colours and keys."""

from pathlib import Path

import pytest
from textual.color import Color

from claf_tui.console.palette import READABLE
from claf_tui.console.preferences import keep_theme, look_file, preferences_file, read_preferences
from claf_tui.console.theme import THEME
from claf_tui.screens.help import HelpScreen
from tests.tui.consoles import Held, console, screen_text, text_in, until
from tests.tui.scripted import run_started


@pytest.fixture
def held(tmp_path: Path) -> Held:
    (tmp_path / "run").mkdir()
    return Held(run_started(tmp_path / "run"))


def write(text: str) -> None:
    preferences_file().parent.mkdir(parents=True, exist_ok=True)
    preferences_file().write_text(text)


async def test_the_theme_that_was_chosen_last_is_there_again(held: Held) -> None:
    keep_theme("claf-light")
    async with console(held) as (app, _):
        assert app.theme == "claf-light"
        app.theme = "nord"
        await until(lambda: read_preferences().theme == "nord")


async def test_the_default_theme_is_not_written_down_unasked(held: Held) -> None:
    async with console(held) as (app, pilot):
        await pilot.pause()
        assert app.theme == THEME.name
        assert not look_file().exists()


async def test_a_theme_that_is_not_there_is_said_and_the_default_taken(held: Held) -> None:
    keep_theme("claf-lihgt")
    async with console(held) as (app, _):
        assert app.theme == THEME.name
        await until(lambda: any("did you mean claf-light?" in each.message for each in app._notifications))


async def test_a_new_key_works_and_is_shown_and_the_old_one_does_nothing(held: Held) -> None:
    write('[keys]\n"dashboard.toggle-pause" = "P"')
    async with console(held, size=(140, 45)) as (app, pilot):
        await until(lambda: app.state.run)
        assert text_in(app, "#keys").startswith("P pause")
        await pilot.press("space")
        assert app.control.status == "running"
        await pilot.press("P")
        assert app.control.status != "running"
        await pilot.press("question_mark")
        await until(lambda: "P             pause, and go on" in screen_text(app))
        assert "Your own keys" in screen_text(app)


async def test_a_key_that_cannot_be_taken_is_said_and_the_others_work(held: Held) -> None:
    write('[keys]\n"dashboard.probe" = "q"\n"dashboard.toggle-pause" = "P"')
    async with console(held, size=(140, 45)) as (app, pilot):
        await until(lambda: any("q is also app.quit" in each.message for each in app._notifications))
        await pilot.press("P")
        assert app.control.status != "running"


async def test_without_colours_a_console_is_drawn_in_shades_of_gray(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with console(held) as (app, _):
        await until(lambda: app.state.run)
        strips = app.screen._compositor.render_strips()
        for line_filter in app.get_line_filters():
            strips = [strip.apply_filter(line_filter, Color.parse("#0d1117")) for strip in strips]
        found = {segment.style.color for strip in strips for segment in strip if segment.style and segment.style.color}
        shades = {tuple(colour.triplet) for colour in found if colour.triplet}
        assert len(shades) > 2
        assert all(red == green == blue for red, green, blue in shades)


async def test_a_click_beside_a_dialog_closes_it_and_one_on_it_does_not(held: Held) -> None:
    async with console(held) as (app, pilot):
        await pilot.press("question_mark")
        await until(lambda: "Steer the run" in screen_text(app))
        await pilot.click(offset=(70, 20))
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        await pilot.click(offset=(1, 1))
        await until(lambda: not isinstance(app.screen, HelpScreen))


async def test_curves_are_darkened_on_a_light_background_alone(held: Held) -> None:
    async with console(held) as (app, _):
        assert READABLE not in app.get_line_filters()
        app.theme = "claf-light"
        assert READABLE in app.get_line_filters()
