from pathlib import Path

import pytest
from textual.widgets import SelectionList

from claf_engine.runs import RunSummary
from claf_tui.screens.compare_dialog import MAX_OTHERS, CompareScreen, described
from tests.tui.consoles import screen_lines, screen_text
from tests.tui.goldens import assert_golden
from tests.tui.hostile import EVERYTHING
from tests.tui.staged import SIZES, staged

GOLDEN = Path(__file__).parent / "golden"
STATUSES = ("running", "finished", "stopped", "diverged", "interrupted")
METHODS = ("claf", "trades", "at", "rocl")
OFFERED = [
    RunSummary(
        f"2026112{number % 10}-080000-table1-{METHODS[number % 4]}",
        Path(f"runs/{number}"),
        STATUSES[number % 5],
        {"method": METHODS[number % 4], "data": "cifar10"},
    )
    for number in range(12)
]


@pytest.mark.parametrize("size", SIZES)
async def test_the_list_of_runs_looks_as_recorded(size: tuple[int, int]) -> None:
    async with staged(CompareScreen(OFFERED, [Path("runs/1")]), size) as (app, _):
        assert_golden(app, GOLDEN / f"compare_{size[0]}x{size[1]}.txt")


async def test_it_ends_with_the_folders_that_were_chosen() -> None:
    ended: list[object] = []
    async with staged(CompareScreen([], []), (80, 24)) as (app, pilot):
        app.push_screen(CompareScreen(OFFERED, [Path("runs/1")]), ended.append)
        await pilot.pause()
        await pilot.press("space", "enter")
        await pilot.pause()
    assert ended == [(Path("runs/1"), Path("runs/0"))]


async def test_choices_are_seen_without_colours() -> None:
    async with staged(CompareScreen(OFFERED, [Path("runs/1")]), (80, 24)) as (app, pilot):
        marks = [line.count("✔") for line in screen_lines(app) if "20261" in line]
        assert marks == [0, 1] + [0] * (len(marks) - 2)
        await pilot.press("space")
        await pilot.pause()
        assert screen_text(app).count("✔") == 2


async def test_more_runs_than_can_be_told_apart_are_refused_in_a_sentence() -> None:
    async with staged(CompareScreen(OFFERED, []), (80, 24)) as (app, pilot):
        app.screen.query_one(SelectionList).select_all()
        await pilot.press("enter")
        await pilot.pause()
        assert f"choose at most {MAX_OTHERS} runs" in screen_text(app)


async def test_names_of_any_characters_and_any_length_keep_to_the_dialog() -> None:
    runs = [RunSummary("実験の名前" * 12, Path("a"), "running", {}), RunSummary(EVERYTHING, Path("b"), EVERYTHING, {})]
    async with staged(CompareScreen(runs, []), (80, 24)) as (app, _):
        lines = screen_lines(app)
        assert "実験の名前" in "".join(lines)
        assert "\x1b" not in "".join(lines)
        edges = {line.index("│") for line in lines if line.count("│") >= 2}
        assert len(edges) == 1


def test_a_run_that_tells_nothing_of_itself_has_a_name_and_a_status() -> None:
    assert described(RunSummary("run", Path("run"), "stopped", {})).plain == "run  stopped"
    assert described(OFFERED[0]).plain == "20261120-080000-table1-claf  running · claf on cifar10"
