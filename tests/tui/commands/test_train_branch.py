"""`claf-tui train --resume RUN --from STEP --set ...`: the way back of a run that diverged."""

import json
from pathlib import Path

import pytest

from claf_engine.config.presets import resolve_config
from claf_engine.runs import create_run, list_runs, read_config
from claf_engine.runs.branch import recorded_branch
from claf_tui import cli
from claf_tui.runners.train import asked_way, reopen
from claf_tui.screens.checkpoints.actions import ResumeRequest
from tests.tui.scripted import write_checkpoint

Shown = pytest.CaptureFixture[str]
LOWER = "features_optimizer.learning_rate=0.01"


@pytest.fixture
def diverged(root: Path) -> Path:
    """A run with checkpoints of steps 10 and 20 that says it has diverged."""
    directory = create_run(root, "old", resolve_config("smoke", None), ["train"])
    for step in (10, 20):
        write_checkpoint(directory.path, step)
    directory.write_status({"status": "diverged"})
    directory.close()
    return directory.path


def train(*arguments: str) -> int:
    return cli.run(["train", "--ui", "plain", *arguments])


@pytest.mark.parametrize(("chosen", "step"), [("10", 10), ("20", 20), ("last", 20)])
def test_a_branch_begins_at_the_checkpoint_that_is_named_with_the_settings_that_are_named(
    diverged: Path, root: Path, chosen: str, step: int
) -> None:
    assert train("--resume", "old", "--from", chosen, "--set", LOWER, "--set", "attack.steps=3") == 0
    new = list_runs(root)[0]
    assert new.name.endswith(f"-old-from-{step}")
    config = read_config(new.directory)
    assert (config.features_optimizer.learning_rate, config.attack.steps) == (0.01, 3)
    branch = recorded_branch(new.directory)
    assert branch is not None
    assert (branch.run, branch.step, set(branch.settings)) == (diverged.name, step, {LOWER[:-5], "attack.steps"})


def test_a_branch_may_have_a_name_and_leaves_the_run_as_it_is(diverged: Path, root: Path) -> None:
    before = {path: path.read_bytes() for path in diverged.rglob("*") if path.is_file()}
    assert train("--resume", "old", "--from", "last", "--name", "milder") == 0
    assert list_runs(root)[0].name.endswith("-milder")
    assert {path: path.read_bytes() for path in diverged.rglob("*") if path.is_file()} == before


def test_a_checkpoint_file_with_settings_is_branched_off_too(diverged: Path, root: Path) -> None:
    newest = diverged / "checkpoints" / "step-000000020.safetensors"
    assert train("--resume", str(newest), "--set", LOWER) == 0
    assert list_runs(root)[0].name.endswith("-old-from-20")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--resume", "old", "--set", LOWER], 2, "add --from last, or --from STEP, to branch off"),
        (["--resume", "old", "--name", "x"], 2, "add --from last, or --from STEP, to branch off"),
        (["--resume", "old", "--from", "11"], 3, "has no checkpoint of step 11; it has 20, 10"),
        (["--resume", "old", "--from", "soon"], 2, "'soon' is neither best, last nor a step"),
        (
            ["--resume", "old", "--from", "10", "--set", "batch_size=2"],
            2,
            "cannot go on from a checkpoint with another",
        ),
        (["--resume", "old", "--from", "10", "--set", "sede=2"], 2, "unknown key sede; did you mean seed"),
        (["--resume", "old", "--from", "10", "--set", "x"], 2, "--set 'x' is not KEY=VALUE"),
        (["--resume", "old", "--from", "10", "--restart"], 2, "--restart begins a run anew"),
        (["--from", "10"], 2, "--from goes with --resume RUN"),
        (["--resume", "x.safetensors", "--from", "10"], 2, "--from chooses among the checkpoints of a run"),
    ],
)
@pytest.mark.usefixtures("diverged")
def test_what_cannot_be_meant_is_refused_and_makes_no_folder(
    root: Path, capsys: Shown, arguments: list[str], code: int, sentence: str
) -> None:
    assert train(*arguments) == code
    assert sentence in capsys.readouterr().err
    assert len(list_runs(root)) == 1


def test_what_a_person_asks_for_in_the_console_is_the_same_as_the_command_that_is_recorded(diverged: Path) -> None:
    file = diverged / "checkpoints" / "step-000000010.safetensors"
    directory = reopen(*asked_way(ResumeRequest(file, (LOWER,))))
    directory.close()
    assert directory.config.features_optimizer.learning_rate == 0.01
    command = json.loads((directory.path / "run.json").read_text())["command"]
    assert command == ["claf-tui", "train", "--resume", str(file), "--set", LOWER]
