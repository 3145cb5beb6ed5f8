from dataclasses import replace
from pathlib import Path

from claf_engine.config.launch import Launch
from claf_engine.runs import create_run
from claf_engine.runs.relaunch import LAUNCH, run_of_launch
from tests.engine.tiny import tiny_config

FIRST = Launch(size=2, work="seven", agent="here:1:2")
AGAIN = replace(FIRST, num_restarts=1)


def begun(root: Path, launch: Launch | None) -> Path:
    directory = create_run(root, "run", tiny_config(), [])
    if launch is not None:
        directory.note({LAUNCH: launch.record()})
    directory.close()
    return directory.path


def test_a_restart_finds_the_newest_run_of_its_launch(tmp_path: Path) -> None:
    begun(tmp_path, FIRST)
    newest = begun(tmp_path, FIRST)
    begun(tmp_path, replace(FIRST, work="eight", agent="here:3:4"))
    begun(tmp_path, None)
    assert run_of_launch(tmp_path, AGAIN) == newest


def test_a_launch_that_has_begun_nothing_has_no_run(tmp_path: Path) -> None:
    assert run_of_launch(tmp_path, AGAIN) is None
    begun(tmp_path, replace(FIRST, work="eight", agent="here:3:4"))
    assert run_of_launch(tmp_path, AGAIN) is None


def test_a_process_that_nobody_launched_has_no_run(tmp_path: Path) -> None:
    begun(tmp_path, Launch())
    assert run_of_launch(tmp_path, Launch()) is None
