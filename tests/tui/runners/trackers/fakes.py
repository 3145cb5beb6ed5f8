"""Modules that look like those of other people, with the signatures that ours are called with."""

import sys
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


@dataclass
class FakeWandbRun:
    config: dict[str, Any]
    logged: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    summary: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None

    def log(self, data: dict[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        assert step is not None
        self.logged.append((step, data))

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        self.exit_code = exit_code


def fake_wandb(patch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], FakeWandbRun]]:
    """Take the place of wandb; gives each call of init with its run."""
    calls: list[tuple[dict[str, Any], FakeWandbRun]] = []

    def init(
        entity: str | None = None,
        project: str | None = None,
        dir: str | None = None,
        id: str | None = None,
        name: str | None = None,
        config: dict[str, Any] | None = None,
        mode: str | None = None,
        resume: str | None = None,
        settings: object = None,
    ) -> FakeWandbRun:
        call = {"project": project, "dir": dir, "id": id, "mode": mode, "resume": resume, "settings": settings}
        calls.append((call, FakeWandbRun(config or {})))
        return calls[-1][1]

    module = ModuleType("wandb")
    module.init = init  # type: ignore[attr-defined]
    module.Settings = lambda console="auto", silent=False: SimpleNamespace(  # type: ignore[attr-defined]
        console=console, silent=silent
    )
    patch.setitem(sys.modules, "wandb", module)
    return calls


@dataclass
class FakeMlflowRun:
    info: SimpleNamespace
    data: SimpleNamespace


class FakeMlflowClient:
    """One server, which all clients see."""

    experiments: dict[str, str]
    runs: dict[str, FakeMlflowRun]
    batches: list[tuple[str, list[Any], list[Any]]]

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        found = self.experiments.get(name)
        return None if found is None else SimpleNamespace(experiment_id=found)

    def create_experiment(self, name: str, artifact_location: str | None = None) -> str:
        self.experiments[name] = str(len(self.experiments))
        return self.experiments[name]

    def search_runs(self, experiment_ids: list[str], filter_string: str = "", max_results: int = 1000) -> list[Any]:
        wanted = filter_string.partition("'")[2].rstrip("'")
        return [run for run in self.runs.values() if run.data.tags.get("claf.run") == wanted][:max_results]

    def create_run(
        self, experiment_id: str, start_time: int | None = None, tags: Any = None, run_name: str | None = None
    ) -> FakeMlflowRun:
        run_id = f"run-{len(self.runs)}"
        run = FakeMlflowRun(SimpleNamespace(run_id=run_id, status="RUNNING"), SimpleNamespace(tags=dict(tags)))
        self.runs[run_id] = run
        return run

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = (), tags: Any = ()) -> None:
        assert len(params) <= 100
        self.batches.append((run_id, list(metrics), list(params)))
        self.runs[run_id].data.tags.update({tag.key: tag.value for tag in tags})

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        self.runs[run_id].info.status = status


@dataclass(frozen=True)
class FakeMetric:
    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True)
class FakePair:
    key: str
    value: str


def fake_mlflow(patch: pytest.MonkeyPatch) -> type[FakeMlflowClient]:
    """Take the place of mlflow; gives its server."""
    server = type("Server", (FakeMlflowClient,), {"experiments": {}, "runs": {}, "batches": []})
    tracking, entities = ModuleType("mlflow.tracking"), ModuleType("mlflow.entities")
    tracking.MlflowClient = server  # type: ignore[attr-defined]
    entities.Metric, entities.Param, entities.RunTag = FakeMetric, FakePair, FakePair  # type: ignore[attr-defined]
    for name, module in (
        ("mlflow", ModuleType("mlflow")),
        ("mlflow.tracking", tracking),
        ("mlflow.entities", entities),
    ):
        patch.setitem(sys.modules, name, module)
    return server
