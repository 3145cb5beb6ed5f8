from pathlib import Path

from claf_tui.widgets.paper_table import TableBody
from tests.tui.console.test_reproduce_app import console, held
from tests.tui.consoles import screen_lines, screen_text, until
from tests.tui.scripted_reproduction import Reproduction, table, waiting_rows


async def test_a_small_screen_shows_the_bar_chart_in_place_of_the_table(tmp_path: Path) -> None:
    async with console(held(tmp_path), (80, 24)) as (app, pilot):
        await until(lambda: "accuracy in %" in screen_text(app))
        await pilot.press("tab")
        await until(lambda: "■ natural" in screen_text(app))
        assert all(row.label in screen_text(app) for row in waiting_rows())
        assert "100%" in screen_text(app)
        await pilot.press("tab")
        await until(lambda: "current run: SCL" in screen_text(app))


async def test_a_wide_screen_shows_table_run_chart_and_log_at_once(tmp_path: Path) -> None:
    async with console(held(tmp_path)) as (app, _):
        await until(lambda: "■ natural" in screen_text(app))
        assert all(
            title in screen_text(app) for title in ("accuracy in %", "current run: SCL", "as in Figure 1", "log")
        )
        assert "bar chart" not in screen_lines(app)[-1]


async def test_a_table_longer_than_the_screen_shows_the_current_row(tmp_path: Path) -> None:
    rows = waiting_rows() * 4
    async with console(held(tmp_path), (80, 24)) as (app, pilot):
        await until(lambda: app.state.run)
        app.take(table(rows, current=20))
        rows_view = app.screen.query_one("#table-rows")
        await until(lambda: rows_view.scroll_y <= 20 < rows_view.scroll_y + rows_view.size.height)
        assert app.screen.query_one(TableBody).current_line == 20
        before = rows_view.scroll_y
        await pilot.press("up")
        await until(lambda: rows_view.scroll_y == before - 1)


async def test_nothing_moves_when_the_next_run_begins(tmp_path: Path) -> None:
    async with console(Reproduction(tmp_path, delay=0.002, fails=frozenset())) as (app, _):
        places = set()

        def look() -> bool:
            # The screen is laid out for a table of no rows until it is told of the table.
            if app.screen.query_one(TableBody).size.height >= len(waiting_rows()) and not app.has_ended:
                places.add(
                    tuple(app.screen.query_one(f"#{name}").region for name in ("loss", "bars-panel", "log-panel"))
                )
            return app.has_ended

        await until(look)
        assert len(places) == 1
