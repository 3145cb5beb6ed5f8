from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from claf_engine.config import RunConfig
from claf_engine.runs import RunDirectory, create_run
from claf_tui.console.launch import ConsoleResult
from claf_tui.console.opened_run import OpenedRun
from claf_tui.console.remote import Remote
from claf_tui.console.runs_app import RunsApp
from claf_tui.runners import runs as runner
from claf_tui.screens.checkpoints.actions import ResumeRequest
from claf_tui.screens.runs.requests import NewRunRequest, OpenRequest, RunsView
from claf_tui.state.draft import Draft
from tests.engine.runs.folders import old_run

VIEW = RunsView("robust>40", chosen="1-a")
Play = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Lets consoles end as they are told, and gives how each was made."""

    def play(*results: ConsoleResult) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        ends = iter(results)

        def run_console(app: partial[Any], *_: object, **__: object) -> ConsoleResult:
            made.append({"app": app.func, **app.keywords})
            return next(ends)

        monkeypatch.setattr(runner, "run_console", run_console)
        return made

    return play


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    """A run that this process holds."""
    directory = create_run(tmp_path / "runs", "demo", RunConfig(), [])
    yield directory
    directory.close()


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAF_CACHE_DIR", str(tmp_path / "cache"))


def test_an_opened_run_leads_back_to_the_list_as_it_was(tmp_path: Path, play: Play) -> None:
    run = old_run(tmp_path, "1-a", status="finished")
    made = play(ConsoleResult(0, opened=OpenRequest(run, VIEW)), ConsoleResult(0), ConsoleResult(0))
    assert runner.browse_runs(tmp_path) == 0
    assert [each["app"] for each in made] == [RunsApp, OpenedRun, RunsApp]
    assert [made[0]["view"], made[2]["view"]] == [RunsView(), VIEW]
    assert (made[1]["remote"], made[1]["why_not"]) == (None, "")


def test_a_live_run_of_ones_own_is_opened_with_control(play: Play, run: RunDirectory) -> None:
    made = play(ConsoleResult(0, opened=OpenRequest(run.path)), ConsoleResult(0), ConsoleResult(0))
    assert runner.browse_runs(run.path.parent) == 0
    assert isinstance(made[1]["remote"], Remote)


def test_a_live_run_of_another_user_is_only_watched(
    play: Play, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_engine.runs.asking.os.geteuid", lambda: 54321)
    made = play(ConsoleResult(0, opened=OpenRequest(run.path)), ConsoleResult(0), ConsoleResult(0))
    assert runner.browse_runs(run.path.parent) == 0
    assert made[1]["remote"] is None
    assert "who alone may steer it" in made[1]["why_not"]


def test_a_signal_in_an_opened_run_ends_the_program(tmp_path: Path, play: Play) -> None:
    run = old_run(tmp_path, "1-a", status="finished")
    play(ConsoleResult(0, opened=OpenRequest(run)), ConsoleResult(143))
    assert runner.browse_runs(tmp_path) == 143


def test_a_run_that_is_resumed_is_trained_on(tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    play(ConsoleResult(0, resume=ResumeRequest(tmp_path / "step-1.safetensors")))
    monkeypatch.setattr("claf_tui.runners.train.train_in", lambda open_directory: open_directory.args[0].reference)
    assert runner.browse_runs(tmp_path) == str(tmp_path / "step-1.safetensors")  # type: ignore[comparison-overlap]


def test_a_run_that_was_put_together_is_trained(play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(ConsoleResult(0, new=NewRunRequest(Draft("smoke", {"seed": "3"}))))
    monkeypatch.setattr("claf_tui.runners.train.train_in", lambda begin: begin.args)
    assert runner.browse_runs(tmp_path) == (Draft("smoke", {"seed": "3"}),)
