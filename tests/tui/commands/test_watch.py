from typing import Any

import pytest

from claf_engine.config.alerts import AlertSettings
from claf_tui import cli
from claf_tui.commands import watch as command
from claf_tui.console.launch import ConsoleResult
from claf_tui.console.remote import Remote


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """How each console was made that the command opened."""
    made: list[dict[str, Any]] = []

    def run_console(app: Any, *_: object, read_only: bool, **__: object) -> ConsoleResult:
        made.append({"read_only": read_only, **app.keywords})
        return ConsoleResult(0)

    monkeypatch.setattr(command, "choose_ui", lambda _: "tui")
    monkeypatch.setattr("claf_tui.console.launch.run_console", run_console)
    return made


@pytest.mark.usefixtures("run")
def test_the_owner_of_a_run_may_steer_it(launched: list[dict[str, Any]]) -> None:
    assert cli.run(["watch", "demo"]) == 0
    ((read_only, remote, why_not),) = [(made["read_only"], made["remote"], made["why_not"]) for made in launched]
    assert (read_only, why_not) == (True, "")
    assert isinstance(remote, Remote)


@pytest.mark.usefixtures("run")
def test_with_read_only_nobody_may(launched: list[dict[str, Any]]) -> None:
    assert cli.run(["watch", "demo", "--read-only"]) == 0
    assert launched == [{"read_only": True, "remote": None, "why_not": "", "alerts": AlertSettings()}]


@pytest.mark.usefixtures("run")
def test_another_user_only_looks_on_and_is_told_why(
    launched: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_engine.runs.asking.os.geteuid", lambda: 54321)
    assert cli.run(["watch", "demo"]) == 0
    assert launched[0]["remote"] is None
    assert "who alone may steer it; you are user 54321" in launched[0]["why_not"]
