from pathlib import Path

import pytest

from claf_tui.console.launch import ConsoleResult, tell_failure

Shown = pytest.CaptureFixture[str]


def test_a_failure_is_told_with_its_reason_and_where_more_is(capsys: Shown) -> None:
    tell_failure(ConsoleResult(5, reason="out of memory"), Path("console.log"))
    assert capsys.readouterr().err == "error: out of memory (more in console.log)\n"


def test_a_failure_of_which_nothing_is_kept_names_no_log(capsys: Shown) -> None:
    tell_failure(ConsoleResult(3, reason="there are no images"), None)
    assert capsys.readouterr().err == "error: there are no images\n"


@pytest.mark.parametrize(
    "result", [ConsoleResult(0, reason="the network was slow"), ConsoleResult(8), ConsoleResult(143)]
)
def test_without_a_failure_nothing_is_told(result: ConsoleResult, capsys: Shown) -> None:
    tell_failure(result, Path("console.log"))
    assert capsys.readouterr().err == ""
