"""Keys that a person gives: which are taken, and one sentence for each that is not."""

import pytest

from claf_tui.console.keymap import Action, all_actions, checked, normal_key, own_keys

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


def test_a_help_page_hears_of_changed_keys() -> None:
    (own,) = own_keys({"board.stop": "S"}, ACTIONS)
    assert (own.group, own.before, own.now) == ("board", ("s",), ("S",))


def test_a_default_that_is_written_with_signs_and_spaces_stays_what_it_is() -> None:
    actions = (Action("app.help", "question_mark,f1", "help"),)
    assert checked({"app.help": "? , f1"}, actions, "").keys == {"app.help": "question_mark,f1"}
