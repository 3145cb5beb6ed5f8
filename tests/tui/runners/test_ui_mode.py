import sys

import pytest

from claf_engine.terms.errors import ConfigError
from claf_tui.runners.ui_mode import choose_ui
from tests.tui.pseudo_terminal import process_in_terminal

TERMINAL = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("environment", "is_terminal", "chosen"),
    [
        (TERMINAL, True, "tui"),
        (TERMINAL, False, "plain"),
        ({**TERMINAL, "CI": "true"}, True, "plain"),
        ({**TERMINAL, "CI": ""}, True, "tui"),
        ({"TERM": "dumb"}, True, "plain"),
        ({"TERM": ""}, True, "plain"),
        ({}, True, "plain"),
    ],
)
def test_auto_is_the_console_where_a_person_sits_in_front_of_a_terminal(
    environment: dict[str, str], is_terminal: bool, chosen: str
) -> None:
    assert choose_ui("auto", environment, is_terminal=is_terminal, in_background=False) == chosen


@pytest.mark.parametrize("asked", ["plain", "jsonl"])
def test_lines_are_given_wherever_they_are_asked_for(asked: str) -> None:
    assert choose_ui(asked, TERMINAL, is_terminal=True) == asked
    assert choose_ui(asked, {}, is_terminal=False) == asked


def test_the_console_that_is_asked_for_is_given_even_in_ci() -> None:
    assert choose_ui("tui", {**TERMINAL, "CI": "1"}, is_terminal=True, in_background=False) == "tui"


@pytest.mark.parametrize(("environment", "is_terminal"), [(TERMINAL, False), ({"TERM": "dumb"}, True)])
def test_the_console_without_a_terminal_is_refused(environment: dict[str, str], is_terminal: bool) -> None:
    with pytest.raises(ConfigError, match="use --ui plain or jsonl"):
        choose_ui("tui", environment, is_terminal=is_terminal)


def test_a_job_in_the_background_gets_lines_and_draws_over_no_other() -> None:
    assert choose_ui("auto", TERMINAL, is_terminal=True, in_background=True) == "plain"
    with pytest.raises(ConfigError, match="leave the & out"):
        choose_ui("tui", TERMINAL, is_terminal=True, in_background=True)


JOBS = """
import subprocess, sys
tell = "from claf_tui.runners.ui_mode import choose_ui; print(choose_ui('auto'), flush=True)"
for group in (None, 0):
    subprocess.run([sys.executable, "-c", tell], process_group=group)
"""


def test_a_job_is_in_the_background_when_the_terminal_is_another_s() -> None:
    with process_in_terminal([sys.executable, "-c", JOBS]) as shown:
        assert shown.left_with() == 0
        assert shown.written.split() == [b"tui", b"plain"]
