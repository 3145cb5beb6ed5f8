"""What a person wants of every console, and what comes of a file that is damaged."""

import pytest

from claf_engine.terms.errors import ConfigError
from claf_tui.console.preferences import (
    THEME_VARIABLE,
    forget_look,
    keep_theme,
    look_file,
    preferences_file,
    read_preferences,
)


def write(text: str) -> None:
    preferences_file().parent.mkdir(parents=True, exist_ok=True)
    preferences_file().write_text(text)


def test_without_a_file_everything_is_as_usual() -> None:
    wanted = read_preferences()
    assert (wanted.theme, wanted.keys, wanted.notices) == (None, {}, ())


def test_a_chosen_theme_is_kept() -> None:
    keep_theme("claf-light")
    assert read_preferences().theme == "claf-light"


def test_a_chosen_theme_can_be_forgotten() -> None:
    keep_theme("claf-light")
    forget_look()
    assert read_preferences().theme is None


def test_a_variable_wins_over_the_file_and_the_file_over_the_last_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_theme("claf-light")
    write('theme = "nord"')
    assert read_preferences().theme == "nord"
    assert read_preferences().named_by == str(preferences_file())
    monkeypatch.setenv(THEME_VARIABLE, "dracula")
    assert (read_preferences().theme, read_preferences().named_by) == ("dracula", THEME_VARIABLE)


def test_keys_are_read() -> None:
    write('[keys]\n"dashboard.probe" = "P"')
    assert read_preferences().keys == {"dashboard.probe": "P"}


@pytest.mark.parametrize("damage", ["{", '{"theme": 3}', "[]", "\0", '{"theme": "x"'])
def test_a_damaged_choice_costs_itself_only(damage: str) -> None:
    keep_theme("claf-light")
    look_file().write_text(damage)
    assert read_preferences().theme is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("theme = 3", "a name in quotes"),
        ("keys = 3", "must be a table"),
        ('[keys]\n"dashboard.probe" = 3', "text in quotes"),
        ("colour = 'red'", "unknown key colour"),
        ("theme =", "not used"),
    ],
)
def test_what_a_file_says_wrongly_is_one_sentence(text: str, word: str) -> None:
    write(text)
    assert [word in notice for notice in read_preferences().notices] == [True]


def test_a_theme_that_cannot_be_kept_says_what_to_do_instead() -> None:
    look_file().parent.mkdir(parents=True)
    look_file().mkdir()
    with pytest.raises(ConfigError, match=f"set {THEME_VARIABLE} instead"):
        keep_theme("claf-light")
