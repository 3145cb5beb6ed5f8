from pathlib import Path

import pytest

from claf_tui.runners.trackers.mlflow import MlFlow
from tests.tui.runners.trackers.fakes import FakeMlflowClient, fake_mlflow
from tests.tui.scripted import run_started

Server = type[FakeMlflowClient]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return fake_mlflow(monkeypatch)


def record(run: Path, steps: range, status: str | None = "finished") -> str:
    tracker = MlFlow()
    said = tracker.begin(run_started(run))
    for step in steps:
        tracker.scalars(step, {"loss/supcon": float(step)}, 5.0)
    if status is None:
        tracker.probed(steps[-1])  # sends; then the process is killed
    else:
        tracker.end(status)
    return said


def steps_of(server: Server) -> list[int]:
    return [metric.step for _, metrics, _ in server.batches for metric in metrics]


def test_figures_and_settings_are_recorded(tmp_path: Path, server: Server) -> None:
    assert record(tmp_path / "a-run", range(1, 4)) == "records run a-run"
    assert steps_of(server) == [1, 2, 3]
    ((_, _, params), *_) = server.batches
    assert [(param.key, param.value) for param in params] == [("probe.every_epochs", "5")]
    assert server.experiments == {"claf-tui": "0"}
    assert server.runs["run-0"].info.status == "FINISHED"


def test_a_run_that_goes_on_is_found_again_and_no_step_is_there_twice(tmp_path: Path, server: Server) -> None:
    record(tmp_path / "a-run", range(1, 9), status=None)
    assert record(tmp_path / "a-run", range(6, 11)) == "goes on with run a-run"
    assert steps_of(server) == list(range(1, 11))
    assert len(server.runs) == 1


def test_other_runs_are_records_of_their_own(tmp_path: Path, server: Server) -> None:
    record(tmp_path / "a-run", range(1, 3))
    record(tmp_path / "b-run", range(1, 3), "failed")
    assert [run.info.status for run in server.runs.values()] == ["FINISHED", "FAILED"]
