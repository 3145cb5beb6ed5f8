import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from claf_engine.config import RunConfig
from claf_engine.runs import RunDirectory, create_run
from claf_engine.runs.folder import read_begun
from claf_tui.runners.trackers import remembering
from claf_tui.runners.trackers.remembering import KEY, Chosen, trackers_for


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunDirectory]:
    monkeypatch.setattr(remembering, "find_spec", lambda _: SimpleNamespace())
    directory = create_run(tmp_path, "demo", RunConfig(), [])
    yield directory
    directory.close()


def kept(run: RunDirectory) -> object:
    return read_begun(run.path).get(KEY)


def test_a_run_without_trackers_keeps_none_and_says_nothing(run: RunDirectory) -> None:
    assert trackers_for(run, ()) == Chosen(())
    assert kept(run) is None


def test_a_tracker_that_the_run_has_had_is_taken_over_and_that_is_said(run: RunDirectory) -> None:
    assert trackers_for(run, ("wandb",)) == Chosen(("wandb",))
    assert kept(run) == ["wandb"]
    assert trackers_for(run, ()) == Chosen(("wandb",), ("wandb is told, as it was before; --no-trackers declines",))


def test_another_one_is_added(run: RunDirectory) -> None:
    trackers_for(run, ("wandb",))
    assert trackers_for(run, ("tensorboard",)).names == ("tensorboard", "wandb")
    assert kept(run) == ["tensorboard", "wandb"]


def test_they_are_forgotten_where_they_are_declined(run: RunDirectory) -> None:
    trackers_for(run, ("wandb", "mlflow"))
    chosen = trackers_for(run, ("mlflow",), declines=True)
    assert chosen == Chosen(("mlflow",), ("wandb hears no more of this run; --wandb goes back to it",))
    assert trackers_for(run, ()).names == ("mlflow",)


def test_one_whose_library_is_missing_is_no_error_and_stays_remembered(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    trackers_for(run, ("wandb",))
    monkeypatch.setattr(remembering, "find_spec", lambda _: None)
    chosen = trackers_for(run, ())
    assert chosen.names == ()
    assert chosen.notices[0].startswith("wandb is not told, though it was before: wandb is missing; ")
    assert kept(run) == ["wandb"]


@pytest.mark.parametrize("foreign", ["wandb", {"wandb": 1}, [["wandb"], "rm -rf", None], 7])
def test_what_else_stands_in_run_json_is_passed_over(run: RunDirectory, foreign: object) -> None:
    record = read_begun(run.path)
    (run.path / "run.json").write_text(json.dumps({**record, KEY: foreign}))
    assert trackers_for(run, ()) == Chosen(())
