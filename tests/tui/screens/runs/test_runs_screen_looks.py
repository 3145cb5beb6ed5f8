"""The list of runs as files, at four sizes."""

from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine.runs.catalogue import News
from claf_engine.runs.overview import Overview, Result
from claf_engine.runs.probe_history import ListedFigure, ProbeHistory, ProbeSeries
from claf_tui.screens.runs.requests import RunsView
from claf_tui.screens.runs.runs_screen import RunsScreen
from claf_tui.state.moment import Moment
from tests.engine.runs.listed import HOUR, NOW, listed
from tests.tui.goldens import assert_golden
from tests.tui.staged import SIZES, staged

GOLDEN = Path(__file__).parent / "golden"
FIGURE = ListedFigure(0.452, "8/255")


def probed(run: Overview, *values: float) -> Overview:
    """The same run with these probes, the last of which is the best."""
    series = ProbeSeries("attack", replace(FIGURE, accuracy=values[-1]), 0.78, 4000, values, 1, len(values))
    return replace(run, digest=replace(run.digest, result=None, probes=ProbeHistory(0, 0, (series,))))


def shown_runs() -> tuple[Overview, ...]:
    """A run in each state, with what is special in lists."""
    live = {"phase": "2 · adversarial features", "epoch": 12, "fraction": 0.456, "step": 5400, "remaining": 1500.0}
    doubted = Result(0.81, replace(FIGURE, notice="from 8/255 on the attack may be too weak"), "test")
    outside = Result(0.81, replace(FIGURE, space="released-code"), "test")
    ended = {"step": 12_000, "fraction": 1.0}
    runs = [
        probed(listed("20270101-120000-wide", "running", begun=NOW - 600, **live), 0.1, 0.2, 0.25, 0.31),
        probed(listed("20270101-110000-narrow", "paused", begun=NOW - HOUR, **live), 0.3, 0.28, 0.32),
        listed("20270101-100000-cut", "interrupted", step=7354, newest=7000, fraction=0.6, method="at"),
        listed("20270101-090000-a-name-longer-than-any-column-is-seed1", tags=("best",), note="for the paper", **ended),
        listed("20270101-080000-weak", result=doubted, data="folder:/data/animals", begun=NOW - 30 * HOUR, **ended),
        listed("20270101-070000-outside", result=outside, begun=NOW - 50 * HOUR, **ended),
        listed(
            "20270101-060000-blown", "diverged", reason="the loss is not finite", robust=None, fraction=0.1, step=73
        ),
        listed("20270101-050000-new", "starting", robust=None, natural=None, method="", data="", begun=NOW - 2),
    ]
    return tuple(runs)


@pytest.mark.parametrize("size", SIZES)
async def test_a_list_looks_as_recorded(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_tui.screens.runs.runs_screen.time.time", lambda: NOW)
    screen = RunsScreen(Path("/runs"), RunsView(chosen="20270101-080000-weak", marked=("20270101-120000-wide",)))
    async with staged(screen, size) as (app, pilot):
        screen.take([News(shown_runs(), num_waiting=0)])
        screen.show(Moment(now=NOW, frame=3))
        await pilot.pause()
        assert_golden(app, GOLDEN / f"runs_{size[0]}x{size[1]}.txt")
