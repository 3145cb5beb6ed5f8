"""Keys that a person gives: which are taken, and one sentence for each that is not."""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input

import claf_tui
from claf_tui.console.keymap import FIXED, Action, all_actions, checked, normal_key, own_keys
from claf_tui.screens.help import HelpScreen

ACTIONS = (
    Action("app.quit", "q", "quit"),
    Action("board.probe", "p", "probe now"),
    Action("board.stop", "s", "stop"),
    Action("other.probe", "p", "probe there"),
)


def complaint(wanted: dict[str, str]) -> str:
    keymap = checked(wanted, ACTIONS, "console.toml")
    assert not keymap.keys
    (sentence,) = keymap.complaints
    return sentence


def test_a_free_key_is_taken() -> None:
    assert checked({"board.probe": "P, f9"}, ACTIONS, "").keys == {"board.probe": "P,f9"}


def test_two_actions_may_exchange_their_keys() -> None:
    wanted = {"board.probe": "s", "board.stop": "p"}
    assert checked(wanted, ACTIONS, "").keys == wanted


def test_a_key_may_do_different_things_on_different_screens() -> None:
    assert checked({"board.stop": "x", "other.probe": "x"}, ACTIONS, "").complaints == ()


def test_an_unknown_id_names_the_nearest() -> None:
    assert "did you mean board.probe?" in complaint({"board.prob": "x"})


@pytest.mark.parametrize("key", ["hyperspace", "", "ctrl+", "hold+x", "p,"])
def test_what_is_no_key_is_refused(key: str) -> None:
    assert "that is no key" in complaint({"board.probe": key})


@pytest.mark.parametrize("key", ["s", "q"])
def test_a_key_that_does_something_else_there_is_refused(key: str) -> None:
    assert f"{key} is also" in complaint({"board.probe": key})


def test_the_key_that_always_leaves_is_not_given_away() -> None:
    assert "ctrl+c is always there to leave" in complaint({"board.probe": "ctrl+c"})


def test_a_key_is_free_only_if_the_one_that_had_it_really_gets_another() -> None:
    keymap = checked({"board.probe": "q", "app.quit": "ctrl+c"}, ACTIONS, "")
    assert keymap.keys == {}
    assert len(keymap.complaints) == 2


@pytest.mark.parametrize(
    ("text", "key"),
    [("?", "question_mark"), ("slash", "slash"), ("shift+p", "P"), ("ctrl+n", "ctrl+n"), ("f12", "f12"), ("+", "plus")],
)
def test_keys_are_read_as_people_write_them(text: str, key: str) -> None:
    assert normal_key(text) == key


def test_what_every_screen_does_by_default_clashes_nowhere() -> None:
    actions = all_actions()
    for action in actions:
        assert checked({action.id: action.keys}, actions, "").complaints == ()


def with_keys(base: type[DOMNode]) -> Iterator[type[DOMNode]]:
    """Every app, screen and widget of ours that declares keys."""
    for each in base.__subclasses__():
        if each.__module__.startswith("claf_tui.") and "BINDINGS" in each.__dict__:
            yield each
        yield from with_keys(each)


def load_consoles() -> None:
    for folder in ("console", "screens", "widgets"):
        path = str(Path(claf_tui.__file__).parent / folder)
        for module in pkgutil.walk_packages([path], f"claf_tui.{folder}."):
            if module.name != "claf_tui.console.restore_terminal":  # runs by itself
                importlib.import_module(module.name)


def test_every_key_of_every_screen_can_be_changed_and_those_of_dialogs_and_fields_stay() -> None:
    load_consoles()
    known = {action.id for action in all_actions()}
    classes = {each for base in (App, Widget) for each in with_keys(base)}
    assert {"ComparisonScreen", "RunsScreen", "RunTable", "NewRunScreen", "ConfirmScreen"} <= {
        each.__name__ for each in classes
    }
    for each in classes:
        is_dialog = issubclass(each, ModalScreen | Input) and not issubclass(each, HelpScreen)
        for binding in each.__dict__["BINDINGS"]:
            assert isinstance(binding, Binding)
            if is_dialog:
                assert binding.id is None, f"{each.__name__} keeps its keys"
            elif binding.key not in FIXED:
                assert binding.id in known, f"{binding.key} of {each.__name__}"


def test_a_help_page_hears_of_changed_keys() -> None:
    (own,) = own_keys({"board.stop": "S"}, ACTIONS)
    assert (own.group, own.before, own.now) == ("board", ("s",), ("S",))


def test_a_default_that_is_written_with_signs_and_spaces_stays_what_it_is() -> None:
    actions = (Action("app.help", "question_mark,f1", "help"),)
    assert checked({"app.help": "? , f1"}, actions, "").keys == {"app.help": "question_mark,f1"}
