import json
import time
from dataclasses import replace
from pathlib import Path

from claf_engine import events as ev
from claf_engine.config.alerts import AlertSettings
from claf_tui.console.silence import Silence
from claf_tui.state import RunState
from tests.tui.scripted import run_started

SETTINGS = AlertSettings.model_validate({"stall": {"seconds": 60}, "no_heartbeat": {"seconds": 30}})
PROGRESS = replace(ev.Progressed.of_activity("training", 0.5), step=7)


def test_a_run_that_does_not_move_is_told_of_until_it_does(tmp_path: Path) -> None:
    silence, state = Silence(SETTINGS, is_watched=False), RunState(run=run_started(tmp_path), progress=PROGRESS)
    assert list(silence.look(state, 100.0)) == []
    (alert,) = silence.look(state, 161.0)
    assert (alert.name, alert.text) == ("stall", "no step and no part of one was done for 61 s")
    assert list(silence.look(state, 170.0)) == []
    (over,) = silence.look(replace(state, progress=replace(PROGRESS, step=8)), 180.0)
    assert isinstance(over, ev.AlertEnded)


def test_a_paused_run_may_stand_still(tmp_path: Path) -> None:
    state = RunState(run=run_started(tmp_path), progress=PROGRESS, control="paused")
    silence = Silence(SETTINGS, is_watched=False)
    assert [list(silence.look(state, at)) for at in (100.0, 500.0)] == [[], []]


def test_a_watched_run_without_a_heartbeat_is_told_of(tmp_path: Path) -> None:
    state = RunState(run=run_started(tmp_path), progress=PROGRESS)
    (tmp_path / "status.json").write_text(json.dumps({"status": "running", "heartbeat": time.time() - 45}))
    (alert,) = Silence(SETTINGS, is_watched=True).look(state, 100.0)
    assert alert.name == "no-heartbeat"
    (tmp_path / "status.json").write_text(json.dumps({"status": "running", "heartbeat": time.time()}))
    assert list(Silence(SETTINGS, is_watched=True).look(state, 100.0)) == []
