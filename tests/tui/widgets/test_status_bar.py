from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_tui.state import RunState
from claf_tui.state.moment import Moment
from claf_tui.widgets.status_bar import status_line
from tests.tui.scripted import run_started

PROGRESS = replace(ev.Progressed.of_activity("training", 0.5), pause_unit="steps", pause_count=120)
STATE = RunState(run=run_started(Path("/runs/20261201-023212-a-long-name")), progress=PROGRESS)


@pytest.mark.parametrize("width", [80, 140])
def test_the_header_says_when_the_run_pauses(width: int) -> None:
    line = status_line(STATE, Moment("RUNNING"), width)
    assert "pauses in 120 steps" in line.plain
    assert "a-long-name" in line.plain
    assert line.cell_length <= width


def test_the_header_says_nothing_of_a_pause_that_was_withdrawn_or_that_the_end_came_before() -> None:
    withdrawn = replace(STATE, progress=replace(PROGRESS, pause_unit="", pause_count=0))
    ended = replace(STATE, finished=ev.RunFinished("finished", 9, 1.0))
    assert all("pauses" not in status_line(state, Moment("RUNNING"), 140).plain for state in (withdrawn, ended))
