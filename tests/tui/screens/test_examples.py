from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.app import App
from textual.events import MouseScrollDown
from textual.pilot import Pilot

from claf_engine import events as ev
from claf_tui.console.theme import THEME
from claf_tui.screens.dashboard import Dashboard
from claf_tui.screens.examples import ExamplesScreen
from claf_tui.widgets.examples_panel import ExamplesPanel
from tests.tui.consoles import Held, console, screen_lines, screen_text, text_in, until
from tests.tui.scripted import run_started
from tests.tui.scripted_examples import clean_examples, write_probes

GOLDEN = Path(__file__).parent / "golden"
SIZES = ((80, 24), (100, 28), (140, 45), (200, 60))
NAMES = ("disc", "ring", "square")
STEPS = tuple(range(100, 1300, 100))


class ExamplesApp(App[None]):
    CSS_PATH = "../../../claf_tui/console/console.tcss"

    def __init__(self, run: Path) -> None:
        super().__init__()
        self._examples_of = run

    def on_mount(self) -> None:
        self.register_theme(THEME)
        self.theme = THEME.name
        self.push_screen(ExamplesScreen(self._examples_of, NAMES))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "20261124-demo"
    directory.mkdir()
    write_probes(directory, STEPS)
    return directory


@asynccontextmanager
async def opened(run: Path, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[ExamplesApp, Pilot[None]]]:
    app = ExamplesApp(run)
    async with app.run_test(size=size) as pilot:
        await until(lambda: isinstance(app.screen, ExamplesScreen) and "survive" in screen_text(app))
        await pilot.pause()
        yield app, pilot


RECORDED = [*(("pictures", size) for size in SIZES), *(("features", size) for size in SIZES[:2])]
"""From 120 cells on both panels are seen at once."""


@pytest.mark.parametrize(("panel", "size"), RECORDED, ids=[f"{name}-{size[0]}x{size[1]}" for name, size in RECORDED])
async def test_the_screen_is_drawn_as_recorded(run: Path, size: tuple[int, int], panel: str) -> None:
    async with opened(run, size) as (app, pilot):
        if panel == "features":
            await pilot.press("tab")
            await until(lambda: "features" in screen_text(app))
        drawn = "\n".join(line.rstrip() for line in screen_lines(app)) + "\n"
        recorded = GOLDEN / f"examples-{panel}-{size[0]}x{size[1]}.txt"
        assert drawn == recorded.read_text(encoding="utf-8")


async def test_the_newest_probe_is_shown_and_followed(run: Path) -> None:
    async with opened(run) as (app, _):
        assert "newest probe, 12 of 12" in screen_text(app)
        write_probes(run, (*STEPS, 1300))
        await until(lambda: "newest probe, 13 of 13" in screen_text(app))


async def test_comma_and_full_stop_turn_the_pages(run: Path) -> None:
    async with opened(run) as (app, pilot):
        await pilot.press("comma", "comma")
        await until(lambda: "10 of 12" in screen_text(app))
        assert "epoch 50" in screen_text(app)
        await pilot.press("full_stop")
        await until(lambda: "11 of 12" in screen_text(app))


async def test_home_and_end_turn_to_the_first_and_the_newest_probe_and_no_key_beyond(run: Path) -> None:
    async with opened(run) as (app, pilot):
        await pilot.press("home")
        await until(lambda: " 1 of 12" in screen_text(app))
        await pilot.press("comma")
        await pilot.pause()
        assert " 1 of 12" in screen_text(app)
        await pilot.press("end", "full_stop")
        await until(lambda: "newest probe, 12 of 12" in screen_text(app))


async def test_who_has_turned_back_stays_there_when_a_new_probe_comes(run: Path) -> None:
    async with opened(run) as (app, pilot):
        await pilot.press("comma")
        await until(lambda: "11 of 12" in screen_text(app))
        write_probes(run, (*STEPS, 1300))
        await until(lambda: "11 of 13" in screen_text(app))


async def test_arrows_scroll_the_images_and_stop_at_the_last(run: Path) -> None:
    async with opened(run) as (app, pilot):
        assert "images 1 to 2 of 8" in screen_text(app)
        await pilot.press("down")
        await until(lambda: "images 2 to 3 of 8" in screen_text(app))
        await pilot.press(*["pagedown"] * 5)
        await until(lambda: "images 7 to 8 of 8" in screen_text(app))
        await pilot.press("up")
        await until(lambda: "images 6 to 7 of 8" in screen_text(app))


async def test_plus_and_minus_show_the_change_stronger_and_weaker(run: Path) -> None:
    async with opened(run) as (app, pilot):
        assert "change × 16" in screen_text(app)
        await pilot.press("plus")
        await until(lambda: "change × 32" in screen_text(app))
        await pilot.press(*["plus"] * 5)
        await until(lambda: "change × 128" in screen_text(app))
        await pilot.press(*["minus"] * 9)
        await until(lambda: "change × 1 " in screen_text(app))


async def test_tab_shows_the_other_panel_where_there_is_room_for_one(run: Path) -> None:
    async with opened(run) as (app, pilot):
        await pilot.press("tab")
        await until(lambda: "the attack moves features" in text_in(app, "#embedding"))
        await pilot.press("tab")
        await until(lambda: "clean" in screen_text(app))


async def test_another_size_of_the_terminal_brings_another_layout(run: Path) -> None:
    async with opened(run) as (app, pilot):
        assert "the attack moves" not in screen_text(app)
        await pilot.resize_terminal(140, 45)
        await until(lambda: "the attack moves" in screen_text(app))
        assert "clean" in screen_text(app)
        await until(lambda: "images 1 to 3 of 8" in screen_text(app))


async def test_a_run_without_examples_says_what_will_bring_some(tmp_path: Path) -> None:
    app = ExamplesApp(tmp_path)
    async with app.run_test(size=(80, 24)):
        await until(lambda: "no probe has kept examples yet" in screen_text(app))
        write_probes(tmp_path, (10,))
        await until(lambda: "1 of 1" in screen_text(app))


@pytest.mark.parametrize("leave", ["escape", "v"])
async def test_escape_leads_back(run: Path, leave: str) -> None:
    async with opened(run) as (app, pilot):
        await pilot.press(leave)
        await until(lambda: not isinstance(app.screen, ExamplesScreen))


@pytest.mark.parametrize("read_only", [False, True])
async def test_v_opens_the_examples_of_the_run_and_escape_leads_back_to_the_dashboard(
    run: Path, read_only: bool
) -> None:
    async with console(Held(run_started(run)), read_only=read_only) as (app, pilot):
        await until(lambda: app.state.run is not None)
        await pilot.press("v")
        await until(lambda: isinstance(app.screen, ExamplesScreen) and "36 of 48 survive" in screen_text(app))
        await pilot.press("question_mark")
        await until(lambda: "Adversarial examples" in screen_text(app))
        await pilot.press("escape", "escape")
        await until(lambda: isinstance(app.screen, Dashboard))


async def test_v_before_the_run_has_told_of_itself_says_so() -> None:
    async with console(Held(ev.Notice("info", "nothing yet"))) as (app, pilot):
        await pilot.press("v")
        await until(lambda: "the run has no folder yet" in screen_text(app))
        assert isinstance(app.screen, Dashboard)


async def test_the_palette_opens_the_examples(run: Path) -> None:
    async with console(Held(run_started(run))) as (app, _):
        await until(lambda: app.state.run is not None)
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        app.call_later(commands["Adversarial examples"].callback)
        await until(lambda: isinstance(app.screen, ExamplesScreen) and "36 of 48 survive" in screen_text(app))


def test_clean_examples_are_the_same_every_time() -> None:
    """What the recorded screens rest on."""
    assert clean_examples().key == clean_examples().key


async def test_the_wheel_scrolls_the_pictures(run: Path) -> None:
    async with opened(run) as (app, pilot):
        before = app.screen.query_one(ExamplesPanel).seen
        app.screen.query_one(ExamplesPanel).post_message(
            MouseScrollDown(None, 5, 5, 0, 1, 0, False, False, False, 5, 5)
        )
        await until(lambda: app.screen.query_one(ExamplesPanel).seen != before)
