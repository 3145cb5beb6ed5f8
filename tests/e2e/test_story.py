"""The whole story by keys: a run is launched, steered, looked at, measured, left and taken up again in a terminal."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.runs import list_checkpoints, summarise
from claf_engine.runs.examples import list_steps
from claf_engine.runs.header import CheckpointInfo
from claf_engine.runs.journal import read_events
from claf_tui.state.standings import card_of
from tests.e2e.processes import SETTINGS, places
from tests.tui.pseudo_terminal import Terminal, process_in_terminal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SIZE = (140, 45)
ESCAPE, ENTER, UP, LEFT = "\x1b", "\r", "\x1b[A", "\x1b[D"
STRETCH = r"· \d+ to \d+ "
"""What a panel says below itself where it shows less than the whole run."""
EPOCHS = ("contrastive.epochs=1", "adversarial.epochs=10", "linear_evaluation.epochs=2", "probe.every_epochs=1")
"""Of the adversarial phase enough that the run is paused long before its end."""


@dataclass(frozen=True)
class Story:
    """A console on a terminal, and the folder of its run."""

    terminal: Terminal
    run: Path

    def press(self, keys: str, *shows: str) -> None:
        """Press keys, and wait until the screen shows texts."""
        self.terminal.press(keys)
        self.see(*shows)

    def see(self, *texts: str) -> None:
        """Wait until the screen shows texts."""
        for text in texts:
            self.terminal.until(text)

    def close(self, text: str) -> None:
        """Press escape, and wait until the screen no longer shows a text."""
        self.terminal.press(ESCAPE)
        self.terminal.until(lambda: text not in self.terminal.shown)

    def told(self, kind: type[ev.Event]) -> list[ev.Event]:
        """The events of one kind that the journal holds."""
        return [event for event in read_events(self.run) if isinstance(event, kind)]


def train(*arguments: str) -> list[str]:
    """The command that trains."""
    return [sys.executable, "-m", "claf_tui", "train", *arguments]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for runs; processes that begin from now on use one thread each."""
    for name, value in {**places(tmp_path), "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def story(home: Path) -> Iterator[Story]:
    """A tiny run, launched in the full-screen console."""
    settings = home / "tiny.toml"
    settings.write_text(SETTINGS)
    values = [part for value in EPOCHS for part in ("--set", value)]
    with process_in_terminal(train("--config", str(settings), "--name", "story", *values), size=SIZE) as terminal:
        terminal.until("RUNNING")
        (run,) = (home / "runs").iterdir()
        yield Story(terminal, run)


def test_a_run_is_steered_seen_measured_left_and_taken_up_again_by_keys(story: Story) -> None:
    pause_once_it_has_retrained(story)
    edit_the_learning_rate(story)
    ask_for_a_probe_and_a_checkpoint(story)
    move_cursor_and_zoom(story)
    turn_to_the_probe_before(story)
    newest = browse_checkpoints(story)
    compare_with_the_one_before(story)
    evaluate(story, newest)
    audit(story, newest)
    step = leave(story)
    take_up_again(story.run, step)


def pause_once_it_has_retrained(story: Story) -> None:
    story.terminal.until(lambda: story.told(ev.ClassifierRetrained))
    story.press(" ", "PAUSED", "space goes on")
    (paused,) = story.told(ev.ControlChanged)
    assert paused.status == "paused"


def edit_the_learning_rate(story: Story) -> None:
    story.press("e", "edit while running")
    story.press("0.03" + ENTER, "→ 0.03")
    (edited,) = story.told(ev.ValueEdited)
    assert (edited.name, edited.new) == ("learning_rate", 0.03)


def ask_for_a_probe_and_a_checkpoint(story: Story) -> None:
    story.press("p", "probe you asked for")
    assert [probe.requested for probe in story.told(ev.ProbeFinished)][-1]
    assert list_steps(story.run)[-1] == story.told(ev.ProbeFinished)[-1].step
    story.press("c", "requested")
    assert "requested" in story.told(ev.CheckpointSaved)[-1].kept_as
    assert "PAUSED" in story.terminal.shown


def move_cursor_and_zoom(story: Story) -> None:
    story.press(LEFT * 30)
    story.terminal.until(lambda: re.search(r"step \d+ · epoch \d+ · \d+:\d\d", story.terminal.shown))
    assert "│step" in story.terminal.shown
    story.press(UP * 2)
    story.terminal.until(lambda: re.search(STRETCH, story.terminal.shown))
    story.press("x", "│epoch")
    story.press("0")
    story.terminal.until(lambda: not re.search(STRETCH, story.terminal.shown))


def turn_to_the_probe_before(story: Story) -> None:
    steps = list_steps(story.run)
    story.press("v", f"newest probe, {len(steps)} of {len(steps)}", f"step {steps[-1]}", "clean", "attacked")
    story.press(",", f"{len(steps) - 1} of {len(steps)}", f"step {steps[-2]}")
    story.close("attacked")


def browse_checkpoints(story: Story) -> CheckpointInfo:
    entries = list_checkpoints(story.run)
    story.press("b", f"{len(entries)} files · this run is live", "classifiers", "unaudited")
    assert entries[0].info is not None
    return entries[0].info


def compare_with_the_one_before(story: Story) -> None:
    story.press("D", "difference", "together", "encoder.stem.weight")
    story.close("together")


def evaluate(story: Story, newest: CheckpointInfo) -> None:
    story.press("e", f"evaluate {newest.path.name}", "pgd-10")
    story.close("pgd-10")


def audit(story: Story, newest: CheckpointInfo) -> None:
    assert card_of(newest, ("attack",))["kind"] == "evaluation"
    story.press("a", f"audit {newest.path.name}", "robustness card")
    card = card_of(newest, ("attack",))
    assert (card["kind"], card["budget"]) == ("audit", "quick")
    story.close("robustness card")
    story.close("this run is live")


def leave(story: Story) -> int:
    story.press("q", "leave?")
    story.press("y")
    assert story.terminal.left_with() == 0
    assert story.terminal.is_restored
    (stopped,) = story.told(ev.RunFinished)
    assert stopped.status == "stopped"
    assert summarise(story.run).status == "stopped"
    return stopped.step


def take_up_again(run: Path, step: int) -> None:
    with process_in_terminal(train("--resume", "latest"), size=SIZE) as terminal:
        story = Story(terminal, run)
        story.see("FINISHED", "unaudited")
        story.press("q")
        assert terminal.left_with() == 0
    assert story.told(ev.RunStarted)[-1].resumed_from_step == step
    assert story.told(ev.RunFinished)[-1].status == "finished"
    assert story.told(ev.StepLogged)[-1].step > step
    assert summarise(run).status == "finished"
