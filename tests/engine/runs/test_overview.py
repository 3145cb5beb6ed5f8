import json
import os
import time
from pathlib import Path

import pytest

from claf_engine.runs import RunDirectory
from claf_engine.runs.labels import Labels, write_labels
from claf_engine.runs.overview import digest_of, overview_of, stamps_of
from tests.engine.runs.folders import old_run
from tests.engine.runs.listed import listed, probed_run
from tests.tui.hostile import EVERYTHING

FIGURE = {"epsilon": "8/255", "accuracy": 0.41, "attack": "pgd", "steps": 2, "step_size": "2/255"}


def seen(run: Path) -> tuple[str, int | None]:
    overview = overview_of(run, digest_of(run))
    return overview.status, overview.newest


def test_a_run_that_holds_its_lock_is_as_it_says(run: RunDirectory) -> None:
    run.write_status({"status": "paused"})
    assert seen(run.path) == ("paused", None)


def test_a_run_whose_process_is_gone_is_interrupted_at_its_newest_checkpoint(run: RunDirectory) -> None:
    run.write_status({"status": "running", "step": 1200})
    for step in (900, 1000, 20):
        (run.checkpoints / f"step-{step:09d}.safetensors").touch()
    (run.checkpoints / "step-x.safetensors").touch()
    run.close()
    assert seen(run.path) == ("interrupted", 1000)


@pytest.mark.parametrize(("age", "status"), [(5.0, "running"), (600.0, "interrupted")])
def test_on_another_machine_the_last_sign_of_life_decides(tmp_path: Path, age: float, status: str) -> None:
    run = old_run(tmp_path, "1-a", status="running", heartbeat=time.time() - age)
    (run / "run.lock").touch()
    (run / "holder.json").write_text(json.dumps({"pid": 1, "host": "elsewhere"}))
    assert seen(run)[0] == status


@pytest.mark.parametrize(("age", "status"), [(5.0, "running"), (600.0, "interrupted")])
def test_where_the_lock_may_not_be_looked_at_it_decides_too(
    tmp_path: Path, age: float, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = old_run(tmp_path, "1-a", status="running", heartbeat=time.time() - age)
    monkeypatch.setattr("claf_engine.runs.overview.lock_of", lambda _: "unknown")
    assert seen(run)[0] == status


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_a_run_on_a_machine_whose_clock_is_wrong_is_alive_once_its_status_was_seen_to_change(
    tmp_path: Path, skew: float
) -> None:
    run = old_run(tmp_path, "1-a", status="running", heartbeat=time.time() + skew)
    (run / "run.lock").touch()
    (run / "holder.json").write_text(json.dumps({"pid": 1, "host": "elsewhere"}))
    first = digest_of(run)
    assert overview_of(run, first).status == "interrupted"
    (run / "status.json").write_text(json.dumps({"status": "running", "heartbeat": time.time() + skew, "step": 1}))
    assert overview_of(run, digest_of(run, first)).status == "running"


def test_the_test_result_counts_before_the_best_probe_and_that_before_the_latest(tmp_path: Path) -> None:
    results = [{"natural": 0.9, "robust": [FIGURE], "selected": True}]
    latest = {"natural": 0.7, "robust": [{**FIGURE, "accuracy": 0.2}]}
    finished = digest_of(probed_run(tmp_path, "1-a", 0.5, status="finished", results=results, probe=latest))
    going_on = digest_of(probed_run(tmp_path, "2-b", 0.5, status="stopped", probe=latest))
    assert finished.result is not None
    assert finished.result.robust is not None
    assert (finished.result.robust.accuracy, finished.result.images) == (0.41, "test")
    assert "do not span the ball" in finished.result.robust.notice
    assert going_on.result is not None
    assert (going_on.result.natural, going_on.result.images) == (0.7, "validation")


def test_a_run_that_has_not_told_yet_has_method_and_data_of_its_settings(tmp_path: Path) -> None:
    run = old_run(tmp_path, "1-a")
    (run / "config.toml").write_text('method = "at"\n[data]\nsource = "shapes"\n')
    digest = digest_of(run)
    assert (digest.method, digest.data) == ("at", "shapes")


@pytest.mark.parametrize("value", [EVERYTHING, 3, None, [1], {"a": 1}, -1, 1e300, True])
def test_a_foreign_status_is_listed_all_the_same(tmp_path: Path, value: object) -> None:
    keys = ("status", "method", "data", "phase_title", "epoch", "step", "run_fraction", "run_remaining", "reason")
    run = old_run(tmp_path, "1-a", **dict.fromkeys((*keys, "results", "probe", "heartbeat"), value))
    (run / "run.json").write_text(json.dumps(dict.fromkeys(("created_at", "created", "folder"), value)))
    overview = overview_of(run, digest_of(run))
    assert overview.robust is None
    assert overview.digest.fraction is None or 0 <= overview.digest.fraction <= 1


def test_what_a_person_writes_changes_the_stamps(tmp_path: Path) -> None:
    run = old_run(tmp_path, "1-a", status="finished")
    before = stamps_of(str(run))
    assert stamps_of(str(run)) == before
    write_labels(run, Labels(tags=("best",)))
    assert stamps_of(str(run)) != before
    assert digest_of(run).labels.tags == ("best",)


def test_only_runs_that_go_on_are_live() -> None:
    states = ("running", "paused", "starting", "stopping", "finished", "interrupted")
    assert [listed(status=status).is_live for status in states] == [True] * 4 + [False] * 2


def test_a_status_that_is_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    run = old_run(tmp_path, "1-a")
    (run / "status.json").unlink()
    os.mkfifo(run / "status.json")
    assert "no regular file" in digest_of(run).notice
