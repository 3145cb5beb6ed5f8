from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from claf_engine import events as ev
from claf_engine.config import RunConfig
from claf_engine.events.control import Control
from claf_tui.runners.trackers.remembering import Chosen
from claf_tui.runners.train import RunEngine
from tests.tui.runners.trackers.test_tracking import Recorder
from tests.tui.scripted import run_started


@pytest.mark.parametrize(("asked", "heard"), [(("tensorboard",), ["a-run", "stopped"]), ((), [])])
def test_a_run_tells_the_trackers_that_were_asked_for(
    asked: Any, heard: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, script = Recorder(), [run_started(tmp_path / "a-run"), ev.RunFinished("stopped", 0, 1.0)]
    monkeypatch.setattr("claf_engine.training.run.run", lambda *_: iter(script))
    monkeypatch.setattr("claf_engine.compute.device.own_process", lambda _: None)
    monkeypatch.setattr("claf_tui.runners.train.make_trackers", lambda names: [recorder for _ in names])
    engine = RunEngine(SimpleNamespace(config=RunConfig()), trackers=Chosen(asked, ("said",)))  # type: ignore[arg-type]
    events = list(engine(Control()))
    assert [event for event in events if event in script] == script
    assert events[1] == ev.Notice("info", "said", 0), "what is said of them comes once the run has begun"
    assert recorder.told == heard
