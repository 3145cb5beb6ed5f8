import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from claf_engine.config import RunConfig
from claf_engine.runs import create_run, find_run, list_runs
from tests.engine.runs.folders import old_run

HOUR = 3600.0


def run_of(root: Path, name: str, *, hours_ago: float = 0.0, **status: Any) -> Path:
    """A run that was begun some hours ago."""
    directory = create_run(root, name, RunConfig(), [])
    directory.note({"created_at": time.time() - hours_ago * HOUR})
    directory.write_status({"status": "stopped", **status})
    directory.close()
    return directory.path


def names(root: Path) -> list[str]:
    return [run.name for run in list_runs(root)]


def test_a_renamed_run_is_not_the_latest_when_another_is_begun(tmp_path: Path) -> None:
    old = run_of(tmp_path, "old", hours_ago=1)
    old.rename(tmp_path / "zz-best-model")
    assert find_run("latest", tmp_path).name == "zz-best-model"
    newer = run_of(tmp_path, "newer")
    assert find_run("latest", tmp_path) == newer
    assert names(tmp_path) == [newer.name, "zz-best-model"]


@pytest.mark.parametrize("name", ["{run}.bak", "aa-{run}", "zz"])
def test_a_copy_is_not_the_latest_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    run = run_of(tmp_path, "x")
    shutil.copytree(run, tmp_path / name.format(run=run.name))
    assert find_run("latest", tmp_path) == run


def test_of_a_run_and_its_copy_the_one_that_was_gone_on_with_is_newer(tmp_path: Path) -> None:
    run = run_of(tmp_path, "x")
    copy = tmp_path / f"{run.name}.bak"
    shutil.copytree(run, copy)
    status = json.loads((copy / "status.json").read_text())
    (copy / "status.json").write_text(json.dumps({**status, "heartbeat": status["heartbeat"] + 1}))
    assert find_run("latest", tmp_path) == copy


def test_of_a_run_of_earlier_code_and_its_copy_the_shorter_name_is_newer(tmp_path: Path) -> None:
    run = old_run(tmp_path, "20260101-000000-x")
    (run / "run.json").write_text('{"created": "20260101-000000"}')
    shutil.copytree(run, tmp_path / f"{run.name}.bak")
    assert find_run("latest", tmp_path) == run


def test_a_renamed_run_of_earlier_code_keeps_its_time(tmp_path: Path) -> None:
    run = old_run(tmp_path, "zz-best")
    (run / "run.json").write_text('{"created": "20260101-000000"}')
    newer = old_run(tmp_path, "20260102-000000-x")
    assert names(tmp_path) == [newer.name, run.name]


def test_a_folder_that_says_nothing_counts_from_its_last_change(tmp_path: Path) -> None:
    silent, older = old_run(tmp_path, "silent"), run_of(tmp_path, "x", hours_ago=1)
    assert names(tmp_path) == ["silent", older.name]
    os.utime(silent / "config.toml", (1.0, 1.0))
    assert names(tmp_path) == [older.name, "silent"]


@pytest.mark.parametrize(
    "value", ["null", "true", '"now"', "NaN", "1e400", "-5", "1" + "0" * 400, "9" * 12, "[]", "[" * 100_000]
)
def test_a_time_that_is_none_is_passed_over(tmp_path: Path, value: str) -> None:
    run = old_run(tmp_path, "20260101-000000-x")
    (run / "run.json").write_text(f'{{"created_at": {value}, "created": {value}}}')
    newer = old_run(tmp_path, "20260102-000000-y")
    assert names(tmp_path) == [newer.name, run.name]
