import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from claf_engine.config import RunConfig
from claf_engine.runs import (
    RunDirectory,
    create_run,
    is_live,
    open_run,
    read_config,
    summarise,
    to_plain,
    versions,
)
from claf_engine.runs.status import read_status
from claf_engine.terms.errors import RunError, RunLocked
from tests.engine.runs.conftest import CONFIG
from tests.engine.runs.folders import old_run
from tests.tui.hostile import HOSTILE


def test_a_new_run_is_a_dated_folder_with_its_configuration_and_command(run: RunDirectory) -> None:
    assert re.fullmatch(r"\d{8}-\d{6}-demo", run.path.name)
    assert run.checkpoints.is_dir()
    assert read_config(run.path) == CONFIG
    assert json.loads((run.path / "run.json").read_text())["command"] == ["claf-tui", "train"]


def test_two_runs_of_the_same_second_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.strftime", lambda _: "20260102-030405")
    for name in ("20260102-030405-demo", "20260102-030405-demo-2"):
        directory = create_run(tmp_path, "demo", CONFIG, [])
        directory.close()
        assert directory.path.name == name


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "-x", "x" * 65, "a b", *HOSTILE])
def test_a_name_that_is_no_plain_file_name_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="is no run name"):
        create_run(tmp_path / "runs", name, CONFIG, [])
    assert not (tmp_path / "runs").exists()


def test_a_file_in_place_of_the_runs_folder_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunError, match=r"cannot write to .*runs: .*; set CLAF_RUNS_DIR to another folder"):
        create_run(tmp_path / "runs", "demo", CONFIG, [])


def test_unset_values_survive_the_way_through_toml() -> None:
    assert RunConfig.model_validate(to_plain(CONFIG)) == CONFIG
    assert "num_test" not in to_plain(CONFIG)["data"]


def test_a_second_owner_is_refused_and_told_who_holds_the_run(run: RunDirectory) -> None:
    with pytest.raises(RunLocked, match=rf"in use by process {os.getpid()} on .*stop it first"):
        open_run(run.path)


def test_a_closed_run_can_be_opened_again(run: RunDirectory) -> None:
    run.close()
    again = open_run(run.path)
    assert again.config == CONFIG
    again.close()


def test_a_run_that_is_gone_on_with_says_so_at_once_and_no_more_how_it_had_ended(tmp_path: Path) -> None:
    path = old_run(tmp_path, "1-demo", status="stopped", reason="by a person", step=40)
    assert summarise(path).status == "stopped"
    directory = open_run(path)
    assert (summarise(path).status, summarise(path).record["step"]) == ("starting", 40)
    assert "reason" not in summarise(path).record
    directory.close()
    assert summarise(path).status == "interrupted", "nobody holds it any more"


def test_a_run_that_was_to_go_on_and_did_not_begin_stands_as_it_was_found(tmp_path: Path) -> None:
    path = old_run(tmp_path, "1-demo", status="stopped", reason="by a person", step=40)
    found = read_status(path / "status.json")
    directory = open_run(path)
    directory.discard()
    directory.close()
    assert read_status(path / "status.json") == found
    again = open_run(path)
    again.write_status({"status": "failed", "reason": "no images"})
    again.discard()
    again.close()
    assert summarise(path).status == "failed", "what it told itself stands"


def test_the_lock_is_free_again_when_its_holder_was_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from claf_engine.config import RunConfig\n"
        "from claf_engine.runs import create_run\n"
        "run = create_run(Path(sys.argv[1]), 'demo', RunConfig(), [])\n"
        "print(run.path, flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    path = Path(holder.stdout.readline().strip())
    assert is_live(path)
    with pytest.raises(RunLocked, match=f"process {holder.pid} "):
        open_run(path)
    holder.kill()
    holder.communicate()
    assert holder.returncode == -signal.SIGKILL
    assert not is_live(path)
    open_run(path).close()


def test_taking_a_run_over_removes_what_a_killed_writer_left(run: RunDirectory) -> None:
    run.close()
    for folder in (run.path, run.checkpoints):
        (folder / ".tmp-x").write_text("half")
    open_run(run.path).close()
    assert not list(run.path.rglob(".tmp-*"))


@pytest.mark.parametrize("status", ["finished", "imported"])
def test_a_finished_or_imported_run_cannot_be_gone_on_with(tmp_path: Path, status: str) -> None:
    with pytest.raises(RunError, match=f"run 1-demo is {status}; evaluate it with `claf-tui eval 1-demo`"):
        open_run(old_run(tmp_path, "1-demo", status=status))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[attack]\nepsilon = 16\n", "attack.epsilon: 16 is above 1"),
        (b"[attack\n", "is damaged: .*line 1"),
        (b"\xff", "is damaged: .*utf-8"),
        (b"nonsense = 1\n", "unknown key nonsense"),
    ],
)
def test_a_damaged_configuration_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    folder = old_run(tmp_path, "1-demo")
    (folder / "config.toml").write_bytes(content)
    with pytest.raises(RunError, match=rf"config\.toml:? {reason}"):
        open_run(folder)


def test_the_status_carries_a_heartbeat(run: RunDirectory) -> None:
    run.write_status({"status": "running", "step": 3})
    record = summarise(run.path).record
    assert record["step"] == 3
    assert record["heartbeat"] > 1e9


def test_a_status_that_cannot_be_written_is_an_error_with_the_path(run: RunDirectory, tmp_path: Path) -> None:
    run.path.rename(tmp_path / "moved")
    with pytest.raises(RunError, match=r"cannot write .*status\.json: No such file or directory"):
        run.write_status({})


def test_versions_name_what_a_result_depends_on() -> None:
    assert versions()["torch"][0].isdigit()
