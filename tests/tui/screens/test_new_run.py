"""The form for a new run, by keys and by mouse, at the smallest size and at a large one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from claf_engine.config import RunConfig
from claf_engine.config.presets import preset_names
from claf_engine.terms.errors import ConfigError
from claf_tui.console.new_run_app import NewRunApp
from claf_tui.screens.choice_dialog import ChoiceScreen, place_of
from claf_tui.screens.new_run import NewRunScreen
from claf_tui.state.draft import Draft
from tests.tui.consoles import screen_text, text_in, until

SIZES = ((80, 24), (140, 45))


def plan(config: RunConfig) -> Iterator[str]:
    if config.supervised.epochs == 0:
        raise ConfigError("method at trains for no epochs: set the epochs of one of its phases above 0")
    yield f"phase 1: {config.method}, 20 epochs of 23 forward-units an image"


@asynccontextmanager
async def form(
    draft: Draft | None = None, size: tuple[int, int] = (140, 45)
) -> AsyncIterator[tuple[NewRunApp, Pilot[None]]]:
    app = NewRunApp(draft or Draft("smoke"), plan)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(lambda: isinstance(app.screen, NewRunScreen) and app.screen.query(OptionList))
        await pilot.pause()
        yield app, pilot  # type: ignore[misc]


def go_to(app: NewRunApp, key: str) -> None:
    lines = app.screen.query_one("#new-run-lines", OptionList)
    lines.highlighted = lines.get_option_index(key)


async def type_value(app: NewRunApp, pilot: Pilot[None], key: str, text: str) -> None:
    go_to(app, key)
    await pilot.press("enter")
    app.screen.query_one("#new-run-value", Input).value = text
    await pilot.press("enter")
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
async def test_everything_that_matters_is_seen(size: tuple[int, int]) -> None:
    async with form(size=size) as (app, _):
        await until(lambda: "phase 1: claf" in screen_text(app))
        text = screen_text(app)
        for words in ("preset", "data.source", "method", "name", "claf-tui train --preset smoke", "enter change"):
            assert words in text


async def test_a_value_is_typed_and_becomes_part_of_the_command() -> None:
    async with form() as (app, pilot):
        await type_value(app, pilot, "attack.steps", "7")
        assert "--set attack.steps=7" in text_in(app, "#new-run-command")
        assert "✎ attack.steps" in screen_text(app)
        assert "1 setting differs from preset smoke" in screen_text(app)
        await pilot.press("u")
        assert "attack.steps=7" not in screen_text(app)


async def test_a_wrong_value_is_told_while_it_is_typed_in_the_words_of_the_command_line() -> None:
    async with form() as (app, pilot):
        go_to(app, "attack.steps")
        await pilot.press("enter")
        app.screen.query_one("#new-run-value", Input).value = "many"
        await until(lambda: "--set: attack.steps must be a whole number" in text_in(app, "#new-run-meaning"))
        await pilot.press("enter")
        assert isinstance(app.focused, Input)
        await pilot.press("escape")
        assert app.screen.draft.changes == {}  # type: ignore[attr-defined]


async def test_a_choice_is_made_from_a_list_that_says_what_each_means() -> None:
    async with form() as (app, pilot):
        go_to(app, "preset")
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, ChoiceScreen))
        assert app.screen.query_one(OptionList).option_count == len(preset_names())
        app.screen.query_one(OptionList).highlighted = 0
        await pilot.press("enter")
        await until(lambda: "--preset demo" in screen_text(app))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [("smoke", "smoke"), ("t5", "table5"), ("scl", "scl"), ("qtrades", "trades"), ("classifier", "table2")],
)
async def test_what_is_typed_goes_to_the_first_choice_that_begins_so(keys: str, expected: str) -> None:
    async with form() as (app, pilot):
        go_to(app, "preset")
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, ChoiceScreen))
        await pilot.press(*keys)
        await pilot.press("enter")
        await until(lambda: f"--preset {expected}" in screen_text(app))


def test_a_choice_in_full_comes_before_one_that_begins_so() -> None:
    choices = [("paper", ""), ("at-rice", ""), ("at", "")]
    assert [place_of(typed, choices) for typed in ("at", "AT-", "rice", "x", "")] == [2, 1, 1, None, 0]


async def test_words_find_settings() -> None:
    async with form() as (app, pilot):
        await pilot.press("slash", *"temperature", "enter")
        await until(lambda: "rocl.temperature" in screen_text(app))
        assert "batch_size" not in screen_text(app)
        await pilot.press("escape")
        await until(lambda: "batch_size" in screen_text(app))


async def test_settings_that_contradict_each_other_cannot_be_started() -> None:
    draft = Draft("smoke").changed("objective.contrast_weight", "1")
    async with form(draft) as (app, pilot):
        await until(lambda: "needs averaging.decay" in text_in(app, "#new-run-side"))
        await pilot.press("s")
        assert app.chosen is None
        await type_value(app, pilot, "averaging.decay", "0.99")
        await until(lambda: "phase 1" in text_in(app, "#new-run-side"))


async def test_what_the_method_cannot_be_trained_with_is_told() -> None:
    async with form(Draft("smoke").changed("supervised.epochs", "0")) as (app, _):
        await until(lambda: "trains for no epochs" in text_in(app, "#new-run-side"))


async def test_s_starts_and_escape_leaves() -> None:
    async with form(Draft("smoke").changed("attack.steps", "9")) as (app, pilot):
        await pilot.press("s")
        await pilot.pause()
        assert app.chosen == Draft("smoke", {"attack.steps": "9"})
    async with form() as (app, pilot):
        await pilot.press("escape")
        await pilot.pause()
        assert app.chosen is None


async def test_the_mouse_changes_a_line_and_the_command_is_copied() -> None:
    async with form() as (app, pilot):
        await pilot.click("#new-run-lines", offset=(5, 0))
        await until(lambda: isinstance(app.screen, ChoiceScreen))
        await pilot.press("escape")
        await pilot.press("y")
        assert app.clipboard == "claf-tui train --preset smoke"


async def test_a_name_that_no_folder_can_have_is_told_before_anything_begins() -> None:
    async with form() as (app, pilot):
        await type_value(app, pilot, "name", "a/b")
        assert "'a/b' is no run name" in text_in(app, "#new-run-meaning")
        assert isinstance(app.focused, Input)


@pytest.mark.parametrize("size", SIZES)
async def test_the_page_of_a_method_stands_below_the_choice_and_follows_it(size: tuple[int, int]) -> None:
    async with form(size=size) as (app, pilot):
        go_to(app, "method")
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, ChoiceScreen))
        await until(lambda: "claf · CLAF" in screen_text(app))
        await pilot.press("a", "l", "p")
        await until(lambda: "alp · Adversarial logit pairing" in screen_text(app))
        assert "what Natural and attacked images" in text_in(app, "#method-page")
        assert "known More steps leave" in text_in(app, "#method-page")
        await pilot.press("enter")
        await until(lambda: "--method alp" in screen_text(app))


async def test_a_method_is_chosen_from_its_page_too() -> None:
    async with form() as (app, pilot):
        go_to(app, "method")
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, ChoiceScreen))
        await pilot.press("a", "l", "p", "tab", "down")
        await until(lambda: app.focused is not None and app.focused.id == "method-page")
        await pilot.press("enter")
        await until(lambda: "--method alp" in screen_text(app))
