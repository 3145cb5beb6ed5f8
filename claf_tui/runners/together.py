"""Training in several processes that torchrun has started: the first one owns the run and speaks for all.

There is no console then, for a terminal has room for one process; `claf-tui watch` shows the run from any terminal.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from time import sleep
from typing import TYPE_CHECKING, Any

from claf_engine import runs
from claf_engine.config import RunConfig
from claf_engine.config.launch import Launch
from claf_engine.runs.onlooker import Onlooker
from claf_engine.runs.relaunch import LAUNCH, run_of_launch
from claf_engine.terms.errors import ConfigError, ProcessLost, RunEnded, RunLocked
from claf_tui.reports import output
from claf_tui.runners import train
from claf_tui.runners.lines import play_in_lines
from claf_tui.runners.trackers.choosing import TrackerName
from claf_tui.runners.trackers.remembering import trackers_for
from claf_tui.runners.ui_mode import Ui, choose_ui
from claf_tui.words import exit_codes

if TYPE_CHECKING:
    from claf_engine.compute.world import World

OpenDirectory = Callable[[], runs.RunDirectory]

LOCK_TRIES = 20
"""Half seconds that the lock of a process that was killed may take to be let go."""


def train_together(
    open_directory: OpenDirectory,
    asked_ui: str,
    launch: Launch,
    trackers: Sequence[TrackerName] = (),
    *,
    declines_trackers: bool = False,
) -> int:
    """Train in this process and those that torchrun started with it.

    Args:
        open_directory: makes or opens the run's folder; called in the first process alone.
        asked_ui: auto, plain or jsonl.
        launch: of this process.
        trackers: of other people, which a person named, and which the first process tells what happens.
        declines_trackers: whether those that the run has had before are told no more.

    Returns:
        The exit code.

    Raises:
        ConfigError: the live console was asked for.
        ClafError: the folder cannot be had, or another process is gone.
    """
    from claf_engine.compute.joining import joined

    ui = lines_only(asked_ui)
    with joined(launch) as world:
        # A machine that took the place of another one counts from 0, and may be the first.
        (num_restarts,) = world.largest([launch.num_restarts])
        launch = replace(launch, num_restarts=num_restarts)
        if launch.is_follower:
            return follow(world)
        return lead(open_directory, ui, launch, world, trackers, declines_trackers=declines_trackers)


def lead(  # noqa: PLR0913 (what `train_together` is told, and the processes)
    open_directory: OpenDirectory,
    ui: Ui,
    launch: Launch,
    world: "World",
    trackers: Sequence[TrackerName] = (),
    *,
    declines_trackers: bool = False,
) -> int:
    """Own the run, and tell the other processes which one it is."""
    try:
        directory = goes_on(launch, open_directory)
    except RunEnded as error:
        if not launch.num_restarts:
            raise
        output.note(error.ending)
        world.tell(None)
        return exit_codes.OK
    engine = train.RunEngine(directory, world, trackers_for(directory, trackers, declines=declines_trackers))
    try:
        accepts = directory.accepts_changed_data
        world.tell({"path": str(directory.path), "config": runs.to_plain(directory.config), "accepts": accepts})
        code = train.in_lines(engine, ui).code
    except (KeyboardInterrupt, SystemExit, ProcessLost):
        engine.discard_unstarted()
        raise
    finally:
        directory.close()
    if 0 < code < exit_codes.SIGNAL_BASE:
        sys.exit(code)  # without taking leave: the others may be waiting for this process
    return code


def follow(world: "World") -> int:
    """Train in the run of the first process, without a word and without writing in its folder."""
    told = world.tell()
    if told is None:
        return exit_codes.OK
    config = RunConfig.model_validate(told["config"])
    directory = Onlooker(Path(told["path"]), config, accepts_changed_data=bool(told["accepts"]))
    engine = train.RunEngine(directory, world)
    log_path = Path(gettempdir()) / f"{directory.path.name}-process-{world.rank}.log"
    number = play_in_lines(engine, _say_nothing, log_path, engine.leave, _say_nothing)
    return exit_codes.code_of(exit_codes.Ending(signal=number))


def goes_on(launch: Launch, open_directory: OpenDirectory) -> runs.RunDirectory:
    """The folder of the run that an earlier start of the launch began, or else a new one, which notes the launch."""
    path = run_of_launch(runs.runs_root(), launch)
    if path is None:
        directory = open_directory()
    else:
        directory = _reopened(path)
        processes = "1 process" if launch.size == 1 else f"{launch.size} processes"
        text = f"torchrun started the run anew, now in {processes}: it goes on from its newest checkpoint"
        directory.notices = (text, *directory.notices)
    directory.note({LAUNCH: launch.record()})
    return directory


def lines_only(asked_ui: str) -> Ui:
    """How the first process says what happens.

    Raises:
        ConfigError: the live console was asked for.
    """
    if asked_ui == "tui":
        raise ConfigError("several processes cannot share a console; leave --ui out and `claf-tui watch` the run")
    return choose_ui("plain" if asked_ui == "auto" else asked_ui)


def _reopened(path: Path) -> runs.RunDirectory:
    """Open a run whose processes were killed a moment ago; begun anew where it has come to no checkpoint."""
    for left in reversed(range(LOCK_TRIES)):
        try:
            return runs.open_run(path, restart=not runs.list_checkpoints(path))
        except RunLocked:
            if not left:
                raise
            sleep(0.5)
    raise AssertionError("the last try returns or raises")


def _say_nothing(_: Any) -> None:
    """The first process speaks for all."""
