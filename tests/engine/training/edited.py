"""A run that is edited and goes on to a pause, in one process or in several: what the tests compare."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claf_engine import events as ev
from claf_engine.compute.world import World
from claf_engine.events.control import Control, Later
from claf_engine.runs import create_run, open_run
from claf_engine.runs.folder import RunDirectory
from claf_engine.runs.onlooker import Onlooker
from claf_engine.training.run import run
from tests.engine.tiny import tiny_config, use_tiny_data
from tests.engine.training.test_run import outcome

EDITED_AT, PAUSED_AT = 2, 5
RATE = 0.003
SETTINGS: dict[str, Any] = {
    "method": "natural",
    "supervised__epochs": 3,
    "probe": {"every_epochs": 0, "num_examples": 4, "epsilons": ["8/255"], "steps": 1, "sentinel_examples": 0},
    "evaluation": {"epsilons": ["8/255"], "steps": 1, "num_examples": 4},
}

Then = Callable[[Control], None]


def edit(world: World) -> dict[str, Any]:
    """What a run tells that is edited, waits, and goes on to its end; and one that is stopped where it waits."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_data(monkeypatch, num_train=25)
        return {
            "whole": _played(world, [Control.resume]),
            "stopped": _played(world, [Control.stop, Control.resume]),
        }


def _played(world: World, after_the_pause: list[Then]) -> dict[str, Any]:
    """A run as far as it goes by each of these; all but the first go on from the newest checkpoint."""
    name, told = f"{world.size}-{len(after_the_pause)}", []
    for number, then in enumerate(after_the_pause):
        directory = _directory(world, Path.cwd() / "runs", name, is_new=not number)
        told += _play(directory, world, then)
        directory.close()
    return {
        "losses": [[each.step, each.loss, each.learning_rate] for each in told if isinstance(each, ev.StepLogged)],
        "edited": [each.step for each in told if isinstance(each, ev.ValueEdited)],
        "paused": [each.step for each in told if isinstance(each, ev.ControlChanged) and each.status == "paused"],
        "ended": [each.status for each in told if isinstance(each, ev.RunFinished)],
        "outcome": repr(outcome(directory.path)) if world.rank == 0 else "",
    }


def _directory(world: World, root: Path, name: str, *, is_new: bool) -> RunDirectory:
    """The folder of the run, in which the first process alone writes."""
    if world.rank == 0:
        directory = create_run(root, name, tiny_config(**SETTINGS), []) if is_new else open_run(_named(root, name))
        world.tell(str(directory.path))
        return directory
    return Onlooker(Path(world.tell()), tiny_config(**SETTINGS))


def _named(root: Path, name: str) -> Path:
    (found,) = root.glob(f"*-{name}")
    return found


def _play(directory: RunDirectory, world: World, then: Then) -> list[ev.Event]:
    """Train, with the first process edited after one step and paused a few later."""
    control, seen = Control(), []
    for event in run(directory, control, world):
        seen.append(event)
        if isinstance(event, ev.StepLogged) and event.step == EDITED_AT:
            control.edit("learning_rate", RATE)
            control.pause_later(Later("steps", PAUSED_AT - EDITED_AT))
        if isinstance(event, ev.ControlChanged) and event.status == "paused":
            then(control)
    return seen
