"""What a long list of runs costs, in calls and not in seconds."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from claf_engine.runs import list_runs
from claf_engine.terms.errors import RunError
from tests.engine.runs.folders import old_run

COUNT = """
import json, sys
from pathlib import Path
from claf_engine.evaluation.cards import standing_of_run
from claf_engine.runs import find_run, list_runs, run_names
root, seen = sys.argv[1], []
def look(event, arguments):
    if event in {"open", "os.listdir", "os.scandir"} and str(arguments[0]).startswith(root):
        seen.append(str(arguments[0])[len(root) :].split("/")[-1])
sys.addaudithook(look)
def listed(root, num_newest=None):
    runs = list_runs(root, num_newest)
    for run in runs:
        standing_of_run(run.directory, run.record)
    return len(runs)
print(json.dumps({"found": eval(sys.argv[2], globals(), {"root": Path(root)}), "seen": seen}, default=str))
"""


def opened(root: Path, work: str = "listed(root)") -> tuple[Any, dict[str, int]]:
    """What a piece of work gives, and how often it opens files and folders of each name below the root."""
    shown = subprocess.run(
        [sys.executable, "-c", COUNT, str(root), work], check=True, capture_output=True, text=True, timeout=60
    )
    record = json.loads(shown.stdout)
    return record["found"], dict(Counter(record["seen"]))


def begun_run(root: Path, number: int, **status: object) -> Path:
    """A run with a lock and a long journal that was begun so many seconds after others."""
    folder = old_run(root, f"1-run{number:02}", **status)
    (folder / "run.json").write_text(json.dumps({"created_at": 1e9 + number, "folder": folder.name}))
    (folder / "run.lock").write_text("")
    (folder / "metrics.jsonl").write_text("x\n" * 1000)
    return folder


def test_of_a_run_that_has_ended_two_files_are_opened_and_of_one_that_goes_on_its_lock_too(tmp_path: Path) -> None:
    for number in range(20):
        begun_run(tmp_path, number, status="running" if number < 5 else "finished")
    assert opened(tmp_path) == (20, {"": 1, "status.json": 20, "run.json": 20, "run.lock": 5})


def test_of_runs_that_are_not_listed_only_the_age_is_looked_at(tmp_path: Path) -> None:
    for number in range(20):
        begun_run(tmp_path, number, status="finished")
    assert opened(tmp_path, "listed(root, 3)") == (3, {"": 1, "status.json": 3, "run.json": 20})


def test_names_and_the_latest_run_are_found_without_a_look_at_how_runs_stand(tmp_path: Path) -> None:
    for number in range(20):
        begun_run(tmp_path, number, status="running")
    names = [f"1-run{number:02}" for number in reversed(range(20))]
    assert opened(tmp_path, "run_names(root)") == (names, {"": 1, "run.json": 20})
    assert opened(tmp_path, "find_run('latest', root).name") == (names[0], {"": 1, "run.json": 20})
    assert opened(tmp_path, "run_names(root, '1-run1', 3)") == (names[:3], {"": 1, "run.json": 3})
    assert opened(tmp_path, "run_names(root, '1-run0')") == (names[10:], {"": 1, "run.json": 10})


def test_only_of_runs_that_were_begun_at_one_moment_it_is_asked_which_was_heard_of_last(tmp_path: Path) -> None:
    for number in range(4):
        begun_run(tmp_path, number, heartbeat=1e9)
    copy = tmp_path / "zz-copy"
    shutil.copytree(tmp_path / "1-run03", copy)
    assert opened(tmp_path, "find_run('latest', root).name") == ("1-run03", {"": 1, "run.json": 5, "status.json": 2})
    (copy / "status.json").write_text('{"heartbeat": 1000000001.0}')
    assert opened(tmp_path, "find_run('latest', root).name")[0] == "zz-copy"


def test_a_runs_folder_that_may_not_be_looked_into_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_run(tmp_path, "1-demo")
    assert len(list_runs(tmp_path)) == 1
    reached: list[Path] = []

    def refuse(path: Path) -> list[str]:
        reached.append(path)
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(RunError, match="cannot look into .*: Permission denied"):
        list_runs(tmp_path)
    assert reached == [tmp_path]
