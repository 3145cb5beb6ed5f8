"""`claf-tui train --resume` that cannot go on: the folder stays as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.runs import RunDirectory, list_runs
from claf_engine.terms.errors import DataError
from claf_tui import cli
from tests.tui.commands.conftest import UseEngine
from tests.tui.commands.test_train import stopped_run

Shown = pytest.CaptureFixture[str]


def refuse(directory: RunDirectory, control: Control) -> Iterator[ev.Event]:
    yield ev.RunFinished("failed", 0, 0.0, reason="no images")
    raise DataError("there are no images at x")


@pytest.fixture
def lost(root: Path) -> Path:
    """A run that has trained and whose checkpoints are lost."""
    folder = stopped_run(root)
    (folder / "metrics.jsonl").write_text('{"seq": 0, "type": "StepLogged"}\n')
    (folder / "notes.txt").write_text("mine")
    for file in (folder / "checkpoints").iterdir():
        file.unlink()
    return folder


def test_a_resume_that_fails_before_it_begins_removes_nothing(root: Path, use_engine: UseEngine) -> None:
    folder = stopped_run(root)
    (folder / "notes.txt").write_text("mine")
    use_engine(refuse)
    assert cli.run(["train", "--resume", "old", "--ui", "plain"]) == 3
    assert (folder / "notes.txt").read_text() == "mine"
    assert len(list((folder / "checkpoints").iterdir())) == 2


def test_a_restart_that_fails_before_it_begins_removes_nothing(lost: Path, use_engine: UseEngine) -> None:
    use_engine(refuse)
    assert cli.run(["train", "--resume", "old", "--restart", "--ui", "plain"]) == 3
    assert (lost / "notes.txt").read_text() == "mine"
    assert (lost / "metrics.jsonl").exists()


def test_a_run_without_checkpoints_is_refused_with_the_way_out(lost: Path, capsys: Shown) -> None:
    before = (lost / "metrics.jsonl").read_bytes()
    assert cli.run(["train", "--resume", "old", "--ui", "plain"]) == 3
    assert "begin it anew with `claf-tui train --resume" in capsys.readouterr().err
    assert (lost / "metrics.jsonl").read_bytes() == before


def test_a_run_without_checkpoints_begins_anew_with_restart(root: Path, lost: Path) -> None:
    assert cli.run(["train", "--resume", "old", "--restart", "--ui", "plain"]) == 0
    assert list_runs(root)[0].status == "finished"


def test_restart_without_a_run_is_wrong_usage(capsys: Shown) -> None:
    assert cli.run(["train", "--preset", "smoke", "--restart"]) == 2
    assert "--restart is for --resume RUN" in capsys.readouterr().err


def test_restart_of_a_file_is_wrong_usage(root: Path, capsys: Shown) -> None:
    file = stopped_run(root) / "checkpoints" / "step-000000010.safetensors"
    assert cli.run(["train", "--resume", str(file), "--restart"]) == 2
    assert "name the run and nothing else" in capsys.readouterr().err
