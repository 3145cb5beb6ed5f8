from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.pilot import Pilot

from claf_engine.runs.journal import Journal
from claf_tui.screens import comparison as module
from claf_tui.screens.comparison import ComparisonScreen
from claf_tui.state.comparison_curves import AXES
from claf_tui.widgets.chart import Chart
from tests.tui.compared import compared_folder, figure, result
from tests.tui.consoles import screen_text, text_in, until
from tests.tui.goldens import assert_golden
from tests.tui.scripted_methods import played, probe
from tests.tui.staged import SIZES, Stage, staged

GOLDEN = Path(__file__).parent / "golden"
METHODS = ("claf", "at", "trades", "fgsm", "alp", "natural", "scl", "rocl")


@pytest.fixture(autouse=True)
def _looks_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_PER_LOOK", 0.05)
    monkeypatch.setattr("claf_tui.state.comparison_tables.time", SimpleNamespace(time=lambda: 1_796_010_000.0))
    monkeypatch.setattr(module, "epoch_units", lambda path: (2.0,) * 4 if path.name.endswith("claf") else (23.0,))


def folders(root: Path, count: int = 3) -> list[Path]:
    return [
        compared_folder(
            root,
            f"20261124-08000{number}-{method}",
            method=method,
            results=[result([figure(0.6 - 0.02 * number), figure(0.4, "16/255", notice="it does not cross")])],
        )
        for number, method in enumerate(METHODS[:count])
    ]


@asynccontextmanager
async def compared(
    directories: list[Path], size: tuple[int, int] = (140, 45)
) -> AsyncIterator[tuple[Stage, Pilot[None]]]:
    screen = ComparisonScreen(directories)
    async with staged(screen, size) as (app, pilot):
        await until(lambda: len(screen._runs) == len(directories))
        await pilot.pause()
        yield app, pilot


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_curves_of_all_runs_stand_over_each_other(tmp_path: Path, size: tuple[int, int]) -> None:
    async with compared(folders(tmp_path), size) as (app, _):
        assert_golden(app, GOLDEN / f"comparison-curves-{size[0]}x{size[1]}.txt")


@pytest.mark.parametrize("key", ["2", "3", "4"])
@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_pages_fit_their_terminal(tmp_path: Path, size: tuple[int, int], key: str) -> None:
    async with compared(folders(tmp_path), size) as (app, pilot):
        await pilot.press(key)
        await pilot.pause()
        assert_golden(app, GOLDEN / f"comparison-page-{key}-{size[0]}x{size[1]}.txt")


async def test_eight_runs_have_their_letters_in_head_and_legend(tmp_path: Path) -> None:
    async with compared(folders(tmp_path, 8), (80, 24)) as (app, _):
        head = text_in(app, "#comparison-bar")
        assert all(f"{key} " in head for key in "ABCDEFGH")
        assert "H" in text_in(app, "#robust")


async def test_the_axis_goes_through_steps_epochs_time_and_forward_passes(tmp_path: Path) -> None:
    async with compared(folders(tmp_path)) as (app, pilot):
        for axis in (*AXES[1:], AXES[0]):
            await pilot.press("x")
            title = {"step": "optimiser steps", "epoch": "epochs", "clock": "time", "units": "forward passes"}[axis]
            await until(lambda title=title: title in screen_text(app))  # type: ignore[misc]
            await until(lambda: app.screen.query_one("#natural", Chart).num_points > 0)


async def test_a_cursor_shows_where_it_stands_and_escape_takes_it_back(tmp_path: Path) -> None:
    async with compared(folders(tmp_path)) as (app, pilot):
        await pilot.press("left", "shift+left")
        assert "optimiser steps" in str(app.screen.query_one("#panel-robust").border_subtitle)
        await pilot.press("escape")
        assert not str(app.screen.query_one("#panel-robust").border_subtitle)
        assert isinstance(app.screen, ComparisonScreen)


async def test_the_next_radius_and_loss_are_shown(tmp_path: Path) -> None:
    async with compared(folders(tmp_path)) as (app, pilot):
        assert "robust 8/255" in screen_text(app)
        await pilot.press("r", "o")
        await pilot.pause()
        assert "robust 16/255" in screen_text(app)
        assert "classifier loss" in screen_text(app)


async def test_a_small_terminal_shows_the_chosen_chart(tmp_path: Path) -> None:
    async with compared(folders(tmp_path), (80, 24)) as (app, pilot):
        shown = []
        for _ in range(3):
            shown.append([name for name in module.CHARTS if app.screen.query_one(f"#panel-{name}").region.height])
            await pilot.press("c")
            await pilot.pause()
        assert shown == [["robust"], ["natural"], ["loss"]]


async def test_a_run_that_goes_on_moves(tmp_path: Path) -> None:
    events = list(played(tmp_path / "live", "at"))[:-1]
    live = compared_folder(tmp_path, "live", method="at", status="running", events=events)
    async with compared([*folders(tmp_path, 1), live]) as (app, _):
        journal = Journal(live)
        journal.open()
        journal.append(probe(99, 0, "adversarial", natural=0.123))
        journal.close()
        await until(lambda: "12.3%" in text_in(app, "#natural"))


async def test_a_click_on_a_page_opens_it(tmp_path: Path) -> None:
    async with compared(folders(tmp_path)) as (app, pilot):
        at = screen_text(app).splitlines()[0].index("settings")
        await pilot.click("#comparison-bar", offset=(at, 0))
        await pilot.pause()
        assert "Settings that differ" in screen_text(app)


async def test_escape_leads_back(tmp_path: Path) -> None:
    async with compared(folders(tmp_path)) as (app, pilot):
        below = app.screen
        app.push_screen(ComparisonScreen(folders(tmp_path / "more")))
        await pilot.pause()
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is below


async def test_a_run_that_cannot_be_read_leaves_the_others(tmp_path: Path) -> None:
    broken, *others = folders(tmp_path)
    (broken / "metrics.jsonl").unlink()
    (broken / "metrics.jsonl").mkdir()
    async with compared([broken, *others]) as (app, _):
        assert "B 93.1%" in text_in(app, "#natural")
        assert "A 93.1%" not in text_in(app, "#natural")
