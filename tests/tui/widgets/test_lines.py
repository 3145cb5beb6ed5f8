from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.pilot import Pilot
from textual.visual import Visual

from claf_tui.widgets.lines import Lines
from tests.tui.consoles import screen_lines, until


class LinesApp(App[None]):
    CSS = "Lines { height: auto; width: 100%; }"

    def compose(self) -> ComposeResult:
        yield Lines()


@asynccontextmanager
async def shown(*texts: str) -> AsyncIterator[tuple[LinesApp, Lines, Pilot[None]]]:
    app = LinesApp()
    async with app.run_test(size=(20, 6)) as pilot:
        lines = app.query_one(Lines)
        lines.show_lines([Content(text) for text in texts])
        await until(lambda: texts[-1][:20] in "\n".join(screen_lines(app)))
        yield app, lines, pilot


async def test_lines_stand_below_each_other() -> None:
    async with shown("one", "two") as (app, _, _pilot):
        assert [line.strip() for line in screen_lines(app)[:3]] == ["one", "two", ""]


async def test_only_the_line_that_has_changed_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shown("one", "two", "three") as (app, lines, _):
        drawn: list[str] = []
        real = Visual.to_strips

        def note(widget: object, visual: Content, *arguments: object, **options: object) -> object:
            if widget is lines:
                drawn.append(visual.plain.strip())
            return real(widget, visual, *arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(Visual, "to_strips", note)
        lines.show_lines([Content("one"), Content("2"), Content("three")])
        await until(lambda: screen_lines(app)[1].strip() == "2")
        assert drawn == ["2"]


async def test_a_line_of_the_same_words_in_another_style_is_drawn_again() -> None:
    async with shown("one") as (app, lines, _):
        lines.show_lines([Content.styled("one", "bold")])
        await until(lambda: any(segment.style and segment.style.bold for segment in lines.render_line(0)))
        assert screen_lines(app)[0].strip() == "one"


async def test_more_lines_make_it_higher_and_fewer_lower() -> None:
    async with shown("one") as (app, lines, _):
        lines.show_lines([Content("one"), Content("two")])
        await until(lambda: lines.size.height == 2)
        lines.show_lines([Content("three")])
        await until(lambda: lines.size.height == 1)
        assert screen_lines(app)[0].strip() == "three"


async def test_a_line_is_cut_to_the_width_and_fits_again_when_there_is_more() -> None:
    async with shown("a line of thirty characters 30") as (app, _, pilot):
        assert screen_lines(app)[0] == "a line of thirty cha"
        await pilot.resize_terminal(40, 6)
        await until(lambda: screen_lines(app)[0].strip() == "a line of thirty characters 30")
