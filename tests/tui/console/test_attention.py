import pytest

from claf_engine.config.alerts import AlertSettings
from claf_tui.console.attention import Shown, chosen, message, sequences, shown_of, taken_back
from claf_tui.console.restore_terminal import NO_PROGRESS, POP_TITLE, shows_progress

GHOSTTY = {"TERM_PROGRAM": "ghostty"}
PLAIN: dict[str, str] = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("word", "has_alert", "progress"),
    [
        ("RUNNING", False, "\x1b]9;4;1;42\x07"),
        ("RUNNING", True, "\x1b]9;4;2;42\x07"),
        ("PAUSED", False, "\x1b]9;4;4;42\x07"),
        ("DIVERGED", False, "\x1b]9;4;2;42\x07"),
        ("STARTING", False, "\x1b]9;4;3;0\x07"),
        ("FINISHED", False, NO_PROGRESS),
    ],
)
def test_progress_says_how_the_run_stands(word: str, has_alert: bool, progress: str) -> None:
    assert shown_of("demo", word, 0.429, has_alert=has_alert).progress == progress


def test_the_title_names_the_run_and_carries_no_escape() -> None:
    assert shown_of("demo", "PAUSED", 0.4, has_alert=True).title == "⚠ demo paused 40 %"
    assert "\x1b" not in shown_of("\x1b]2;owned\x07", "RUNNING", 0.4, has_alert=False).title


@pytest.mark.parametrize(
    ("environment", "shows"),
    [
        (GHOSTTY, True),
        ({"WT_SESSION": "x"}, True),
        ({"ConEmuANSI": "ON"}, True),
        ({"VTE_VERSION": "8000"}, True),
        ({"VTE_VERSION": "7600"}, False),
        ({"TERM_PROGRAM": "iTerm.app"}, False),
        ({"TERM": "xterm-kitty"}, False),
        ({**GHOSTTY, "TMUX": "x"}, False),
        ({}, False),
    ],
)
def test_progress_goes_to_terminals_that_do_not_take_it_for_a_message(environment: dict[str, str], shows: bool) -> None:
    assert shows_progress(environment) is shows
    now = chosen(shown_of("demo", "RUNNING", 0.4, has_alert=False), AlertSettings(), environment)
    assert bool(now.progress) is shows


def test_a_person_may_switch_all_of_it_off_or_force_progress() -> None:
    shown = shown_of("demo", "RUNNING", 0.4, has_alert=False)
    assert chosen(shown, AlertSettings(title=False, progress="off"), GHOSTTY) == Shown()
    forced = chosen(shown, AlertSettings(progress="on"), {"TMUX": "x"})
    assert forced.progress == "\x1bPtmux;\x1b\x1b]9;4;1;40\x07\x1b\\"


def test_only_what_changed_is_written() -> None:
    before, now = Shown("a", "1"), Shown("b", "1")
    assert sequences(before, now) == "\x1b]2;b\x07"
    assert sequences(now, now) == ""


def test_what_was_shown_is_taken_back_and_nothing_else() -> None:
    assert taken_back(Shown("a", "1"), PLAIN) == POP_TITLE + NO_PROGRESS
    assert taken_back(Shown(), PLAIN) == ""


def test_a_message_is_text_and_never_a_command_of_the_terminal() -> None:
    assert message("4;1;50\x07\x1b]0;owned", PLAIN).startswith("\x1b]9;claf-tui: 4;1;50")
    assert message("x", PLAIN).count("\x1b") == 1
    assert message("x", {"TERM": "linux"}) == ""
