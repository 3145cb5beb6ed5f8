from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from claf_engine import runs
from claf_engine.compute.world import World
from claf_engine.config.launch import Launch
from claf_engine.runs.folder import read_begun
from claf_engine.runs.onlooker import Onlooker
from claf_engine.runs.relaunch import LAUNCH
from claf_engine.terms.errors import ConfigError, ProcessLost, RunEnded
from claf_tui import cli
from claf_tui.runners import together
from claf_tui.runners.lines import play_in_lines
from claf_tui.runners.together import follow, goes_on, lead, lines_only, train_together
from claf_tui.words import exit_codes
from tests.engine.tiny import tiny_config
from tests.tui.scripted import write_checkpoint

FIRST = Launch(size=2, local_size=2, work="seven", agent="here:1:2")
AGAIN = replace(FIRST, num_restarts=1)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLAF_RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


def opens(root: Path) -> Callable[[], runs.RunDirectory]:
    return lambda: runs.create_run(root, "run", tiny_config(), [])


def nothing_opens() -> runs.RunDirectory:
    raise AssertionError("a restart makes no folder")


def begun(root: Path, status: str = "running") -> Path:
    """The folder of a run that the first start of the launch made."""
    directory = goes_on(FIRST, opens(root))
    directory.write_status({"status": status})
    directory.close()
    return directory.path


def test_a_first_start_makes_a_folder_that_says_how_many_processes_train(root: Path) -> None:
    assert read_begun(begun(root))[LAUNCH] == {**FIRST.record(), "processes": 2}


def test_a_restart_goes_on_in_the_folder_of_the_first_start_and_says_so(root: Path) -> None:
    path = begun(root)
    write_checkpoint(path, 10)
    directory = goes_on(replace(AGAIN, size=3), nothing_opens)
    directory.close()
    assert directory.path == path
    assert "started the run anew, now in 3 processes: it goes on from its newest checkpoint" in directory.notices[0]
    assert read_begun(path)[LAUNCH]["processes"] == 3


def test_a_restart_before_the_first_checkpoint_begins_the_same_run_anew(root: Path) -> None:
    path = begun(root)
    (path / "metrics.jsonl").write_text('{"seq": 0}\n')
    directory = goes_on(AGAIN, nothing_opens)
    directory.close()
    assert directory.path == path


def test_the_lock_of_a_process_that_was_just_killed_is_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = begun(root)
    held = runs.open_run(path, restart=True)
    waited: list[float] = []

    def let_go(seconds: float) -> None:
        waited.append(seconds)
        held.close()

    monkeypatch.setattr(together, "sleep", let_go)
    goes_on(AGAIN, nothing_opens).close()
    assert len(waited) == 1


class Heard:
    """A world in which somebody notes what the first process says."""

    rank = 0

    def __init__(self) -> None:
        self.said: list[Any] = []

    def tell(self, plain: Any = None) -> Any:
        self.said.append(plain)
        return plain


def test_a_restart_of_a_run_that_has_finished_has_nothing_to_do_and_tells_the_others(root: Path) -> None:
    begun(root, "finished")
    world = Heard()
    assert lead(nothing_opens, "plain", AGAIN, world) == exit_codes.OK  # type: ignore[arg-type]
    assert world.said == [None]


def test_a_new_machine_that_becomes_the_first_learns_of_the_restarts_from_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Elsewhere(World):
        def largest(self, values: Sequence[int]) -> list[int]:
            return [max(each, 3) for each in values]

    led: list[Launch] = []
    monkeypatch.setattr("claf_engine.compute.joining.joined", lambda _: nullcontext(Elsewhere(0, 2)))
    monkeypatch.setattr(together, "lead", lambda _open, _ui, launch, *_, **__: led.append(launch))
    train_together(nothing_opens, "plain", FIRST)
    assert led == [replace(FIRST, num_restarts=3)]


def test_a_finished_run_that_is_asked_for_in_so_many_words_is_refused(root: Path) -> None:
    def refuse() -> runs.RunDirectory:
        raise RunEnded("it is finished")

    with pytest.raises(RunEnded):
        lead(refuse, "plain", FIRST, Heard())  # type: ignore[arg-type]


def test_a_follower_of_nothing_leaves() -> None:
    assert follow(Heard()) == exit_codes.OK  # type: ignore[arg-type]


def test_a_follower_trains_in_the_run_that_it_is_told_of_without_a_word(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Any] = []

    def play(engine: Any, *_: object) -> None:
        seen.append(engine.directory)

    monkeypatch.setattr(together, "play_in_lines", play)
    world = Heard()
    told = {"path": str(root / "a run"), "config": runs.to_plain(tiny_config(seed=5)), "accepts": True}
    world.tell = lambda plain=None: told  # type: ignore[method-assign]
    assert follow(world) == exit_codes.OK  # type: ignore[arg-type]
    (directory,) = seen
    assert isinstance(directory, Onlooker)
    assert (directory.path, directory.config.seed, directory.accepts_changed_data) == (root / "a run", 5, True)
    assert capsys.readouterr() == ("", "")


def test_several_processes_have_no_console() -> None:
    assert [lines_only(asked) for asked in ("auto", "plain", "jsonl")] == ["plain", "plain", "jsonl"]
    with pytest.raises(ConfigError, match="several processes cannot share a console; leave --ui out"):
        lines_only("tui")


def test_a_process_that_lost_another_after_a_signal_leaves_as_the_signal_says(tmp_path: Path) -> None:
    def engine(_: object) -> Any:
        import os
        import signal

        yield from ()
        os.kill(os.getpid(), signal.SIGTERM)
        raise ProcessLost("gone")

    with pytest.raises(SystemExit) as caught:
        play_in_lines(engine, lambda _: None, tmp_path / "log", lambda _: None, lambda _: None)
    assert caught.value.code == 143


@pytest.mark.parametrize(("rank", "waits"), [("0", 0), ("2", 1)])
def test_of_several_processes_the_first_one_says_what_is_wrong_at_once(
    rank: str, waits: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("claf_tui.cli.time.sleep", slept.append)
    monkeypatch.setenv("RANK", rank)
    assert cli.run(["train", "--preset", "none such"]) == exit_codes.USAGE
    assert slept == [cli.LAST_WORD_SECONDS] * waits
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["audit", "latest"], ["reproduce", "table1"]])
def test_what_one_process_does_is_refused_in_several(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert cli.run(command) == exit_codes.USAGE
    assert "runs in one process, and torchrun started 2; start it without torchrun" in capsys.readouterr().err
