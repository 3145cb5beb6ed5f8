from collections.abc import Iterator

import pytest
from textual.app import App, ComposeResult
from textual.events import Key
from textual.widgets import OptionList

from claf_tui.widgets.filter_field import FilterField
from tests.tui.consoles import until


class Listed(App[None]):
    """A list with its filter."""

    BINDINGS = [("x", "mark")]

    def __init__(self) -> None:
        super().__init__()
        self.num_marked = 0

    def compose(self) -> ComposeResult:
        yield FilterField(filtered="#list", placeholder="words", id="field")
        yield OptionList("one", "two", id="list")

    def on_mount(self) -> None:
        self.query_one(FilterField).begin()

    def action_mark(self) -> None:
        self.num_marked += 1


def keys(*names: str) -> Iterator[Key]:
    return (Key(name, name if len(name) == 1 else None) for name in names)


@pytest.mark.parametrize("end", ["enter", "down"])
async def test_keys_in_one_go_reach_the_field_before_its_end_and_the_list_after_it(end: str) -> None:
    app = Listed()
    async with app.run_test():
        field = app.query_one(FilterField)
        for key in keys("x", end, "x"):
            app.post_message(key)
        await until(lambda: app.num_marked and field.value)
        assert app.focused is app.query_one("#list")
        assert (field.value, field.display) == ("x", True)


async def test_what_is_taken_back_leaves_no_field() -> None:
    app = Listed()
    async with app.run_test():
        field = app.query_one(FilterField)
        for key in keys("x", "y", "escape", "x"):
            app.post_message(key)
        await until(lambda: app.num_marked and not field.display)
        assert (field.value, app.num_marked) == ("", 1)


async def test_an_empty_filter_goes_when_it_is_left() -> None:
    app = Listed()
    async with app.run_test() as pilot:
        assert app.query_one(FilterField).display
        await pilot.press("enter")
        await until(lambda: not app.query_one(FilterField).display)
