import json
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from claf_engine.runs import (
    RunDirectory,
    find_checkpoint,
    find_run,
    list_checkpoints,
    list_runs,
    runs_root,
    summarise,
)
from claf_engine.terms.errors import CheckpointError, RunError
from tests.engine.runs.folders import old_run
from tests.tui.hostile import HOSTILE
from tests.tui.scripted import write_checkpoint


def measured(
    folder: Path,
    step: int,
    robust: float | None,
    *,
    selection: float | None = None,
    requested: bool = False,
    progress: float | None = None,
) -> Path:
    """A checkpoint with a validation figure, or with none, or also with that of a stronger attack."""
    figures = {"validation_robust": robust, "validation_selection": selection}
    metrics = {name: value for name, value in figures.items() if value is not None}
    metadata = {
        "claf.run": folder.name,
        "claf.step": step,
        "claf.phase": "2",
        "claf.epoch": 1,
        "claf.metrics": metrics,
        "claf.classifier": "attack",
        "claf.weights_sha256": "0",
        "claf.requested": requested,
        "claf.progress": progress,
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


def test_a_run_that_says_it_is_going_on_is_interrupted_when_nobody_holds_its_lock(run: RunDirectory) -> None:
    run.write_status({"status": "running"})
    assert summarise(run.path).status == "running"
    run.close()
    assert summarise(run.path).status == "interrupted"


@pytest.mark.parametrize("status", ["finished", "imported", "stopped", "failed"])
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


def test_where_a_stronger_attack_was_run_the_best_is_chosen_by_that_one(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo")
    measured(folder, 1, 0.9)
    measured(folder, 2, 0.5, selection=0.3)
    measured(folder, 3, 0.4, selection=0.35)
    assert [entry.kept_as for entry in list_checkpoints(folder)] == [("last", "best"), (), ()]


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


def test_the_newest_checkpoint_is_the_one_of_the_latest_step_whatever_it_is_called(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo")
    early, late = measured(folder, 5, None), measured(folder, 9, None)
    early = early.rename(early.with_name("step-000000020.safetensors"))
    (folder / "checkpoints" / "step-000000007.safetensors").write_bytes(b"torn")
    assert [entry.path for entry in list_checkpoints(folder)] == [
        late,
        folder / "checkpoints" / late.name.replace("9", "7"),
        early,
    ]
    assert find_checkpoint("1-demo", tmp_path, "last") == late


def test_the_first_checkpoint_of_the_second_third_of_a_run_is_the_early_one(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "1-demo")
    for step, progress in ((1, 0.1), (2, 0.34), (3, 0.5), (4, 0.7), (5, 1.0)):
        measured(folder, step, None, progress=progress)
    assert {entry.info.step for entry in list_checkpoints(folder) if entry.info and "early" in entry.kept_as} == {2}


@pytest.mark.parametrize("progress", [None, 0.2, 0.8])
def test_a_run_that_saved_nothing_in_its_second_third_has_no_early_checkpoint(
    tmp_path: Path, progress: float | None
) -> None:
    folder = old_run(tmp_path, "1-demo")
    measured(folder, 1, None, progress=progress)
    assert not any("early" in entry.kept_as for entry in list_checkpoints(folder))
