from collections.abc import Generator
from pathlib import Path

import pytest

from claf_engine.runs import list_checkpoints
from claf_engine.runs.choosing import ATTEMPTS, afresh_steps, open_chosen
from claf_engine.runs.header import CheckpointInfo, read_info
from claf_engine.terms.errors import CheckpointError, CheckpointGone
from tests.engine.runs.folders import old_run
from tests.engine.runs.test_listing import measured


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run with one checkpoint."""
    made = old_run(tmp_path, "1-demo")
    measured(made, 1, None)
    return made


class Training:
    """Opens checkpoints of a run that deletes each one as soon as it is chosen, some times, and writes the next."""

    def __init__(self, folder: Path, times: int) -> None:
        self.folder, self.times, self.opened = folder, times, 0

    def read(self, path: Path) -> CheckpointInfo:
        self.opened += 1
        if self.opened <= self.times:
            measured(self.folder, self.opened + 1, None)
            path.unlink()
        return read_info(path)

    def steps(self, path: Path) -> Generator[str, None, CheckpointInfo]:
        info = self.read(path)
        yield "measuring"
        return info


def test_a_checkpoint_that_goes_before_it_is_open_is_chosen_afresh(folder: Path, tmp_path: Path) -> None:
    training = Training(folder, 2)
    assert open_chosen("latest", tmp_path, "last", training.read).step == 3
    assert training.opened == 3


def test_without_anything_going_one_choice_is_enough(folder: Path, tmp_path: Path) -> None:
    training = Training(folder, 0)
    assert open_chosen("latest", tmp_path, "last", training.read).step == 1
    assert training.opened == 1


def test_choosing_afresh_comes_to_an_end(folder: Path, tmp_path: Path) -> None:
    training = Training(folder, 100)
    with pytest.raises(CheckpointGone, match="no checkpoint at"):
        open_chosen("latest", tmp_path, "last", training.read)
    assert training.opened == ATTEMPTS


def test_a_file_that_was_named_is_never_exchanged_for_another(folder: Path, tmp_path: Path) -> None:
    training = Training(folder, 1)
    with pytest.raises(CheckpointGone):
        open_chosen(str(folder / "checkpoints" / "step-000000001.safetensors"), tmp_path, "last", training.read)
    assert training.opened == 1
    assert list_checkpoints(folder)


def test_a_damaged_checkpoint_is_not_one_that_is_gone(folder: Path, tmp_path: Path) -> None:
    opened: list[Path] = []

    def refuse(path: Path) -> None:
        opened.append(path)
        raise CheckpointError("damaged")

    with pytest.raises(CheckpointError, match="damaged"):
        open_chosen("latest", tmp_path, "last", refuse)
    assert len(opened) == 1


def play(steps: Generator[str, None, CheckpointInfo]) -> tuple[list[str], CheckpointInfo]:
    items: list[str] = []
    while True:
        try:
            items.append(next(steps))
        except StopIteration as stop:
            return items, stop.value


def newest(folder: Path) -> Path:
    return list_checkpoints(folder)[0].path


def test_steps_are_played_anew_with_another_checkpoint_when_theirs_is_gone(folder: Path) -> None:
    training = Training(folder, 2)
    items, info = play(afresh_steps(newest(folder), lambda _: newest(folder), training.steps))
    assert (items, info.step, training.opened) == (["measuring"], 3, 3)


def test_steps_of_a_file_that_was_named_fail_when_it_is_gone(folder: Path) -> None:
    training, named = Training(folder, 1), newest(folder)
    with pytest.raises(CheckpointGone):
        play(afresh_steps(named, lambda _: named, training.steps))
    assert training.opened == 1


def test_playing_steps_anew_comes_to_an_end(folder: Path) -> None:
    training = Training(folder, 100)
    with pytest.raises(CheckpointGone):
        play(afresh_steps(newest(folder), lambda _: newest(folder), training.steps))
    assert training.opened == ATTEMPTS


def test_files_that_go_while_a_run_is_listed_do_not_make_it_look_empty(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(folder, 2)
    monkeypatch.setattr("claf_engine.runs.listing.read_info", training.read)
    assert [entry.path.name[5:14] for entry in list_checkpoints(folder)] == ["000000003"]
    assert training.opened == 3


def test_a_header_that_goes_while_it_is_read_is_gone_and_not_damaged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, reached = newest(folder), []

    def delete_first(*arguments: object, **_: object) -> None:
        reached.append(arguments)
        path.unlink()
        raise FileNotFoundError(2, "No such file or directory")

    assert read_info(path).step == 1
    monkeypatch.setattr("claf_engine.runs.header.safe_open", delete_first)
    with pytest.raises(CheckpointGone, match="was deleted while it was opened"):
        read_info(path)
    assert reached
