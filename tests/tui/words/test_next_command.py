import shlex
from typing import Any

import pytest

from claf_engine import events as ev
from claf_tui.words.next_command import next_command, saved_text
from tests.tui.hostile import EVERYTHING

WAY_BACK = ("supervised.optimizer.learning_rate=0.01",)
CHECKPOINT = "/runs/my run/checkpoints/step-000000040.safetensors"


def ended(status: Any, **more: Any) -> ev.RunFinished:
    return ev.RunFinished(status, 42, 1.0, **more)


@pytest.mark.parametrize(
    ("finished", "command"),
    [
        (ended("finished"), "claf-tui eval 'my run' --eps 16/255"),
        (ended("stopped", checkpoint=CHECKPOINT), "claf-tui train --resume 'my run'"),
        (ended("stopped"), "claf-tui train --resume 'my run' --restart"),
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


@pytest.mark.parametrize(
    ("step", "checkpoint", "text"),
    [
        (40, CHECKPOINT, "saved at step 40; the run can go on from there"),
        (41, CHECKPOINT, "saved at step 40, 1 step before the end; the run can go on from there"),
        (2040, CHECKPOINT, "saved at step 40, 2,000 steps before the end; the run can go on from there"),
        (0, CHECKPOINT, "saved at step 40; the run can go on from there"),
        (42, "/runs/x/checkpoints/mine.safetensors", "saved in mine.safetensors; the run can go on from there"),
        (42, None, "nothing was saved that can be read; the run can only begin anew"),
    ],
)
def test_what_was_saved_is_the_newest_checkpoint_and_not_the_last_step(
    step: int, checkpoint: str | None, text: str
) -> None:
    assert saved_text(ev.RunFinished("stopped", step, 1.0, checkpoint=checkpoint)) == text


def test_a_checkpoint_that_a_journal_names_is_clean() -> None:
    assert saved_text(ended("stopped", checkpoint=f"/runs/{EVERYTHING}")).isprintable()
