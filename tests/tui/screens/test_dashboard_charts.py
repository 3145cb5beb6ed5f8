"""How the charts of the dashboard are looked at: cursor, zoom, axes, smoothing, other runs."""

from pathlib import Path

import pytest
from textual.events import MouseMove, MouseScrollUp
from textual.widgets import SelectionList

from claf_engine import events as ev
from claf_engine.runs.journal import Journal
from claf_tui.screens.compare_dialog import CompareScreen
from claf_tui.screens.space import PANELS, space_of
from claf_tui.widgets.chart import Chart
from tests.tui.consoles import Held, console, screen_lines, screen_text, text_in, until
from tests.tui.scripted_methods import METHODS, played, probe, started

NUM_STEPS = 3000


def logged(number: int) -> ev.StepLogged:
    return ev.StepLogged(number, 0, 1, "supervised", "cross_entropy", 2.0 + 0.001 * number, 0.1, None, 2.0 * number)


def long_run(directory: Path) -> Held:
    """A run of so many steps that memory gathers them, with its journal on disk."""
    directory.mkdir(parents=True)
    events = [started(directory, "at"), ev.PhaseStarted(0, METHODS["at"][0].name, 0), *map(logged, range(1, NUM_STEPS))]
    events += [ev.EpochFinished(NUM_STEPS, 0, 1, 1.0, 1.0), probe(NUM_STEPS, 0, "adversarial")]
    journal = Journal(directory)
    journal.open()
    for event in events:
        journal.append(event)
    journal.close()
    return Held(*events)


def steps_shown(text: str) -> tuple[int, int]:
    """The stretch of steps that the chosen panel says it shows."""
    words = text.replace(",", "").split()
    middle = words.index("to")
    return int(words[middle - 1]), int(words[middle + 1])


@pytest.mark.parametrize("size", [(80, 24), (100, 28), (140, 45), (200, 60)])
async def test_panels_get_the_rows_of_their_budget(tmp_path: Path, size: tuple[int, int]) -> None:
    async with console(long_run(tmp_path / "run"), size) as (app, _):
        await until(lambda: "● 8/255" in screen_text(app))
        space = space_of(*size, "probe")
        shown = [name for name in PANELS if app.screen.query_one(f"#panel-{name}").display]
        heights = [app.screen.query_one(f"#panel-{name}").region.height for name in shown]
        upper, lower = space.rows(size[1])
        assert tuple(shown) == space.panels
        assert heights == [upper, *[lower] * len(space.bottom)]
        assert app.screen.query_one("#probe-table").display is space.has_table


async def test_the_cursor_is_shared_by_all_charts_and_says_where_it_is(tmp_path: Path) -> None:
    async with console(long_run(tmp_path / "run"), (140, 45)) as (app, pilot):
        await until(lambda: "● adversarial training 4.999" in screen_text(app))
        await pilot.press("left")
        await until(lambda: f"step {NUM_STEPS:,} · epoch" in screen_text(app))
        await pilot.press("shift+left", "shift+left")
        await until(lambda: "step 2," in screen_text(app))
        value = float(text_in(app, "#panel-loss").split("training ")[1].split()[0])
        assert 4.2 < value < 4.9
        await pilot.press("escape")
        await until(lambda: "● adversarial training 4.999" in screen_text(app))


async def test_zooming_re_reads_every_step_and_a_reset_lets_them_go(tmp_path: Path) -> None:
    async with console(long_run(tmp_path / "run"), (140, 45)) as (app, pilot):
        await until(lambda: "4.999" in screen_text(app))
        chart = app.screen.query_one("#loss", Chart)
        assert chart.num_points < 1024
        await pilot.press("up", "up", "up")
        await until(lambda: chart.num_points == NUM_STEPS - 1)
        assert "2,625 to 3,000 · following" in screen_text(app)
        await pilot.press("0")
        await until(lambda: chart.num_points < 1024)
        assert "following" not in screen_text(app)


async def test_a_journal_that_cannot_be_read_again_leaves_the_gathered_curve_and_says_so(tmp_path: Path) -> None:
    engine = long_run(tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    (tmp_path / "run" / "metrics.jsonl").mkdir()
    async with console(engine, (140, 45)) as (app, pilot):
        await until(lambda: "4.999" in screen_text(app))
        await pilot.press("up")
        await until(lambda: any("not every step" in note.message for note in app._notifications))
        assert "● adversarial training" in screen_text(app)


async def test_keys_move_what_is_shown_and_follow_the_newest_step_again(tmp_path: Path) -> None:
    async with console(long_run(tmp_path / "run"), (140, 45)) as (app, pilot):
        await until(lambda: "4.999" in screen_text(app))
        await pilot.press("up", "up")
        await until(lambda: "2,250 to 3,000 · following" in screen_text(app))
        await pilot.press("left_square_bracket", "left_square_bracket")
        await until(lambda: "1,875 to 2,625" in screen_text(app))
        assert "following" not in screen_text(app)
        await pilot.press("end")
        await until(lambda: "2,250 to 3,000 · following" in screen_text(app))
        await pilot.press("down", "down")
        await until(lambda: "following" not in screen_text(app))


async def test_the_horizontal_axis_of_all_charts_counts_steps_epochs_or_time(tmp_path: Path) -> None:
    async with console(long_run(tmp_path / "run"), (140, 45)) as (app, pilot):
        await until(lambda: "4.999" in screen_text(app))
        for name in ("epoch", "clock", "step"):
            await pilot.press("x")
            await until(lambda name=name: sum(line.count(f"│{name} ") for line in screen_lines(app)) == 3)


async def test_smoothing_changes_by_keys_and_ends_at_none(tmp_path: Path) -> None:
    async with console(long_run(tmp_path / "run"), (140, 45)) as (app, pilot):
        await until(lambda: " trend " in screen_text(app))
        await pilot.press(*["minus"] * 4)
        await until(lambda: "no smoothing" in screen_text(app))
        assert " trend " not in screen_text(app)
        await pilot.press("plus")
        await until(lambda: " trend " in screen_text(app))


async def test_the_value_axis_of_the_chosen_chart_becomes_logarithmic(tmp_path: Path) -> None:
    async with console(long_run(tmp_path / "run"), (140, 45)) as (app, pilot):
        await until(lambda: "4.999" in screen_text(app))
        await pilot.press("2", "l")
        await until(lambda: "cross-entropy loss, log scale" in screen_text(app))
        assert app.screen.query_one("#loss", Chart).is_log
        assert not app.screen.query_one("#probe", Chart).is_log


@pytest.mark.parametrize("size", [(80, 24), (140, 45)])
async def test_a_click_looks_at_a_step_and_the_wheel_zooms_about_it(tmp_path: Path, size: tuple[int, int]) -> None:
    async with console(long_run(tmp_path / "run"), size) as (app, pilot):
        await until(lambda: "● 8/255" in screen_text(app))
        chart = app.screen.query_one("#probe", Chart)
        middle = (chart.size.width // 2, 5)
        await pilot.click("#probe", offset=middle)
        await until(lambda: "step 1," in screen_text(app))
        await pilot._post_mouse_events([MouseScrollUp], widget="#probe", offset=middle)
        await until(lambda: steps_shown(screen_text(app))[1] - steps_shown(screen_text(app))[0] in range(1499, 1502))


@pytest.mark.parametrize(("button", "shown"), [(1, "1,875 to 2,625"), (0, "2,250 to 3,000")])
async def test_dragging_pans_only_as_long_as_the_button_is_down(tmp_path: Path, button: int, shown: str) -> None:
    async with console(long_run(tmp_path / "run"), (140, 45)) as (app, pilot):
        await until(lambda: "4.999" in screen_text(app))
        await pilot.press("up", "up")
        await until(lambda: "2,250 to 3,000 · following" in screen_text(app))
        chart = app.screen.query_one("#probe", Chart)
        await pilot.mouse_down("#probe", offset=(20, 5))
        await pilot._post_mouse_events(
            [MouseMove], widget="#probe", offset=(20 + chart.num_columns // 2, 5), button=button
        )
        await until(lambda: shown in screen_text(app))
        assert (app.mouse_captured is chart) == bool(button)


async def test_other_runs_are_laid_over_in_dashes(tmp_path: Path) -> None:
    other = tmp_path / "20261124-080000-wide"
    other.mkdir()
    (other / "config.toml").write_text('method = "at"\n')
    journal = Journal(other)
    journal.open()
    for event in played(other, "at"):
        journal.append(event)
    journal.close()
    async with console(long_run(tmp_path / "run"), (140, 45)) as (app, pilot):
        await until(lambda: "4.999" in screen_text(app))
        await pilot.press("w")
        await until(lambda: isinstance(app.screen, CompareScreen))
        assert "20261124-080000-wide" in screen_text(app)
        await pilot.press("space")
        await until(lambda: app.screen.query_one(SelectionList).selected)
        await pilot.press("enter")
        await until(lambda: "╍ wide 61.8%" in screen_text(app))
        assert "╍ wide 0.15" in screen_text(app)


async def test_without_another_run_there_is_nothing_to_compare(tmp_path: Path) -> None:
    async with console(long_run(tmp_path / "run"), (140, 45)) as (app, pilot):
        await until(lambda: "4.999" in screen_text(app))
        await pilot.press("w")
        await until(lambda: any("no other run" in note.message for note in app._notifications))
