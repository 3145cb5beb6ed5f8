import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from claf_engine.config import DataConfig, RunConfig
from claf_engine.errors import CheckpointError, RunError, RunLocked
from claf_engine.runs import (
    RunDirectory,
    create_run,
    find_checkpoint,
    find_run,
    is_live,
    list_checkpoints,
    list_runs,
    open_run,
    read_config,
    runs_root,
    summarise,
    to_plain,
    versions,
)
from tests.tui.hostile import HOSTILE
from tests.tui.scripted import write_checkpoint

CONFIG = RunConfig(seed=7, data=DataConfig(num_train=100))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    """A run directory that this process owns."""
    directory = create_run(tmp_path, "demo", CONFIG, ["claf-tui", "train"])
    yield directory
    directory.close()


def old_run(root: Path, name: str, **status: object) -> Path:
    """The folder of a run whose process has left."""
    folder = root / name
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.toml").write_text("seed = 7\n")
    (folder / "status.json").write_text(json.dumps(status))
    return folder


def measured(folder: Path, step: int, robust: float | None, *, requested: bool = False) -> Path:
    """A checkpoint with a validation figure, or with none."""
    metrics = {} if robust is None else {"validation_robust": robust}
    metadata = {
        "claf.run": folder.name,
        "claf.step": step,
        "claf.phase": "2",
        "claf.epoch": 1,
        "claf.metrics": metrics,
        "claf.classifier": "attack",
        "claf.weights_sha256": "0",
        "claf.requested": requested,
    }
    path = folder / "checkpoints" / f"step-{step:09d}.safetensors"
    save_file({}, path, {"claf.format": "1", **{key: json.dumps(value) for key, value in metadata.items()}})
    return path


def test_runs_live_in_the_folder_of_the_environment_or_in_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAF_RUNS_DIR", str(tmp_path / "x"))
    assert runs_root() == tmp_path / "x"
    monkeypatch.delenv("CLAF_RUNS_DIR")
    monkeypatch.chdir(tmp_path)
    assert runs_root() == tmp_path / "runs"


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


def test_a_finished_run_cannot_be_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="run 1-demo is finished; evaluate it with `claf-tui eval 1-demo`"):
        open_run(old_run(tmp_path, "1-demo", status="finished"))


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


def test_a_run_that_says_it_is_going_on_is_interrupted_when_nobody_holds_its_lock(run: RunDirectory) -> None:
    run.write_status({"status": "running"})
    assert summarise(run.path).status == "running"
    run.close()
    assert summarise(run.path).status == "interrupted"


@pytest.mark.parametrize("status", ["finished", "stopped", "failed"])
def test_a_run_that_has_ended_keeps_its_status(tmp_path: Path, status: str) -> None:
    assert summarise(old_run(tmp_path, "1-demo", status=status)).status == status


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"status": '])
def test_a_damaged_status_does_not_hide_the_run(tmp_path: Path, content: bytes) -> None:
    folder = old_run(tmp_path, "1-demo")
    (folder / "status.json").write_bytes(content)
    assert [run.name for run in list_runs(tmp_path)] == ["1-demo"]


def test_runs_are_listed_newest_first_and_other_folders_are_left_out(tmp_path: Path) -> None:
    for name in ("20260101-000000-a", "20260103-000000-b", "20260102-000000-c"):
        old_run(tmp_path, name)
    (tmp_path / "notes").mkdir()
    assert [run.name[:8] for run in list_runs(tmp_path)] == ["20260103", "20260102", "20260101"]
    assert list_runs(tmp_path / "none") == []


@pytest.mark.parametrize("reference", ["latest", "20260103-000000-b", "b", "{folder}"])
def test_a_run_is_found_by_latest_its_folder_s_name_its_given_name_and_its_path(tmp_path: Path, reference: str) -> None:
    old_run(tmp_path, "20260101-000000-b")
    folder = old_run(tmp_path, "20260103-000000-b")
    assert find_run(reference.format(folder=folder), tmp_path) == folder


def test_latest_without_any_run_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there are no runs in .* yet; `claf-tui train` starts one"):
        find_run("latest", tmp_path)


@pytest.mark.parametrize("reference", ["x", "", "..", "/", "x" * 300, "a\0b", *HOSTILE])
def test_a_run_that_does_not_exist_is_an_error_whatever_its_name(tmp_path: Path, reference: str) -> None:
    with pytest.raises(RunError, match="no run "):
        find_run(reference, tmp_path)


def test_the_best_checkpoint_is_the_one_with_the_highest_validation_robust_accuracy(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo")
    for step, robust in ((1, 0.2), (2, 0.5), (3, 0.5), (4, None)):
        measured(folder, step, robust)
    kept = {entry.path.name[5:14]: entry.kept_as for entry in list_checkpoints(folder)}
    assert kept == {"000000004": ("last",), "000000003": (), "000000002": ("best",), "000000001": ()}


def test_a_checkpoint_that_a_person_asked_for_says_so(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo")
    measured(folder, 1, 0.1, requested=True)
    assert list_checkpoints(folder)[0].kept_as == ("last", "best", "requested")


@pytest.mark.parametrize(("which", "step"), [("best", 2), ("last", 3), (1, 1)])
def test_a_run_stands_for_its_best_its_last_or_a_numbered_checkpoint(
    tmp_path: Path, which: str | int, step: int
) -> None:
    folder = old_run(tmp_path, "1-demo")
    paths = {step: measured(folder, step, robust) for step, robust in ((1, 0.1), (2, 0.9), (3, 0.5))}
    assert find_checkpoint("latest", tmp_path, which) == paths[step]  # type: ignore[arg-type]


def test_without_any_figure_the_newest_checkpoint_is_taken(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo")
    newest = [measured(folder, step, None) for step in (1, 2)][-1]
    assert find_checkpoint("latest", tmp_path) == newest


def test_a_damaged_checkpoint_is_passed_over_and_listed_with_its_error(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo")
    whole, damaged = measured(folder, 1, 0.1), measured(folder, 2, 0.9)
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert find_checkpoint("latest", tmp_path) == whole
    assert "truncated, damaged or not safetensors" in list_checkpoints(folder)[0].error


def test_a_checkpoint_of_another_writer_does_not_break_the_list(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo")
    write_checkpoint(folder, 5)
    assert list_checkpoints(folder)[0].kept_as == ("last", "best")


def test_a_run_without_checkpoints_says_so(tmp_path: Path) -> None:
    old_run(tmp_path, "1-demo")
    with pytest.raises(CheckpointError, match="run 1-demo has no checkpoint that can be read"):
        find_checkpoint("latest", tmp_path)


def test_a_step_without_a_checkpoint_names_those_there_are(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo")
    for step in (4, 8):
        measured(folder, step, None)
    with pytest.raises(CheckpointError, match="has no checkpoint of step 5; it has 8, 4"):
        find_checkpoint("latest", tmp_path, 5)


def test_a_file_stands_for_itself_even_when_it_is_missing(tmp_path: Path) -> None:
    assert find_checkpoint(str(tmp_path / "x.safetensors"), tmp_path) == tmp_path / "x.safetensors"


def test_versions_name_what_a_result_depends_on() -> None:
    assert versions()["torch"][0].isdigit()
