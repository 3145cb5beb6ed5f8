"""What a long list of runs costs, in calls and not in seconds."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from claf_engine.runs import list_runs
from claf_engine.terms.errors import RunError
from tests.engine.runs.folders import old_run

COUNT = """
import json, sys
from pathlib import Path
from claf_engine.evaluation.cards import standing_of_run
from claf_engine.runs import list_runs
root, seen = sys.argv[1], []
def look(event, arguments):
    if event in {"open", "os.listdir", "os.scandir"} and str(arguments[0]).startswith(root):
        seen.append(str(arguments[0])[len(root) :].split("/")[-1])
sys.addaudithook(look)
runs = list_runs(Path(root))
standings = [standing_of_run(run.directory, run.record) for run in runs]
print(json.dumps({"runs": len(runs), "seen": seen}))
"""


def opened(root: Path) -> tuple[int, list[str]]:
    """How many runs there are, and the name of every file and folder that listing them opens."""
    shown = subprocess.run(
        [sys.executable, "-c", COUNT, str(root)], check=True, capture_output=True, text=True, timeout=60
    )
    record = json.loads(shown.stdout)
    return record["runs"], record["seen"]


def test_of_a_run_that_has_ended_one_file_is_opened_and_of_one_that_goes_on_its_lock_too(tmp_path: Path) -> None:
    for number in range(20):
        folder = old_run(tmp_path, f"1-run{number:02}", status="running" if number < 5 else "finished")
        (folder / "run.lock").write_text("")
        (folder / "metrics.jsonl").write_text("x\n" * 1000)
    num_runs, names = opened(tmp_path)
    assert num_runs == 20
    assert {name: names.count(name) for name in set(names)} == {"": 1, "status.json": 20, "run.lock": 5}


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
