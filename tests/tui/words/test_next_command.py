import shlex
from typing import Any

import pytest

from claf_engine import events as ev
from claf_tui.words.next_command import next_command
from tests.tui.hostile import EVERYTHING

WAY_BACK = ("supervised.optimizer.learning_rate=0.01",)
CHECKPOINT = "/runs/my run/checkpoints/step-000000040.safetensors"


def ended(status: Any, **more: Any) -> ev.RunFinished:
    return ev.RunFinished(status, 42, 1.0, **more)


@pytest.mark.parametrize(
    ("finished", "command"),
    [
        (ended("finished"), "claf-tui eval 'my run' --eps 16/255"),
        (ended("stopped"), "claf-tui train --resume 'my run'"),
        (ended("failed"), "claf-tui runs"),
        (None, "claf-tui runs"),
        (
            ended("diverged", checkpoint=CHECKPOINT, way_back=WAY_BACK),
            "claf-tui train --resume 'my run' --from 40 --set supervised.optimizer.learning_rate=0.01",
        ),
        (
            ended("diverged", way_back=WAY_BACK),
            "claf-tui train --config '/runs/my run/config.toml' --set supervised.optimizer.learning_rate=0.01",
        ),
    ],
)
def test_the_next_command_fits_how_the_run_ended_and_can_be_pasted(
    finished: ev.RunFinished | None, command: str
) -> None:
    assert next_command(finished, "'my run'", "/runs/my run") == command


def test_settings_that_a_journal_proposes_are_one_word_each_and_clean() -> None:
    command = next_command(ended("diverged", checkpoint=EVERYTHING, way_back=("a; rm -rf x", EVERYTHING)), "run", "/r")
    assert command.isprintable()
    assert shlex.split(command)[:6] == ["claf-tui", "train", "--config", "/r/config.toml", "--set", "a; rm -rf x"]
    assert len(shlex.split(command)) == 8
