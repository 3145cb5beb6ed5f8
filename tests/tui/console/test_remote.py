"""A run of another process that is steered from a console which watches it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.config import RunConfig
from claf_engine.events.control import Control
from claf_engine.runs import RunDirectory, create_run
from claf_engine.runs.journal import Journal
from claf_engine.terms.errors import NotAnswered
from claf_engine.training.live_edits import Trained
from claf_engine.training.methods import phases_of
from claf_engine.training.state import Cursor
from claf_engine.training.steering import Standing, served
from claf_tui.console.follower import Follower
from claf_tui.console.remote import PATIENCE, Remote
from tests.tui.consoles import console, screen_lines, screen_text, until
from tests.tui.scripted import run_started

CONFIG = RunConfig()
TRAINED = Trained(CONFIG, phases_of(CONFIG), Cursor(), rate=0.1)


class Owner:
    """The process that trains, as far as its folder shows it; it serves when it is told to."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.path = directory.path
        self.control = Control()
        self.journal = Journal(directory.path)
        self.journal.open()
        self.journal.append(run_started(directory.path))

    def serve(self) -> list[ev.RequestServed]:
        answers = [served(one, self.control, Standing(7, TRAINED)) for one in self.directory.inbox.take(self.path)]
        for answer in answers:
            self.journal.append(answer)
        return answers


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    directory = create_run(tmp_path, "demo", RunConfig(), [])
    owner = Owner(directory)
    yield owner
    owner.journal.close()
    directory.close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_asked_is_awaited_until_it_is_answered(owner: Owner) -> None:
    remote = Remote(owner.path)
    assert remote.status is None
    remote.probe_now()
    assert remote.status == "asked"
    (answer,) = owner.serve()
    remote.hear(answer)
    assert remote.status is None


def test_the_answer_to_somebody_else_is_not_taken_for_ones_own(owner: Owner) -> None:
    remote, other = Remote(owner.path), Remote(owner.path)
    other.pause()
    (answer,) = owner.serve()
    remote.pause()
    remote.hear(answer)
    assert remote.status == "asked"


def test_what_nobody_answers_is_withdrawn_and_told_once(owner: Owner) -> None:
    clock = Clock()
    remote = Remote(owner.path, clock)
    remote.stop()
    clock.now = PATIENCE
    assert remote.give_up() == []
    clock.now += 0.1
    (text,) = remote.give_up()
    assert text.startswith(f"{owner.path.name} did not answer 'stop' within 10 s, ")
    assert text.endswith("it was withdrawn")
    assert (remote.give_up(), remote.status, owner.serve()) == ([], None, [])


def test_when_the_run_ends_nothing_is_awaited_any_more(owner: Owner) -> None:
    remote = Remote(owner.path)
    remote.pause()
    remote.hear(ev.RunFinished("finished", 7, 1.0))
    assert (remote.status, owner.serve()) == (None, [])


def test_a_run_without_a_process_is_not_asked(owner: Owner) -> None:
    owner.directory.close()
    remote = Remote(owner.path)
    with pytest.raises(NotAnswered):
        remote.pause()
    assert remote.status is None


async def test_a_watched_run_is_steered_by_the_keys_of_a_live_one(owner: Owner) -> None:
    engine = Follower(owner.path, poll_seconds=0.01)
    async with console(engine, (80, 24), read_only=True, remote=Remote(owner.path)) as (app, pilot):
        await until(lambda: "space pause" in screen_lines(app)[-1])
        await pilot.press("space")
        assert "ASKED" in screen_lines(app)[0]
        await pilot.press("space")
        assert [answer.request for answer in owner.serve()] == ["pause"]
        await until(lambda: "PAUSING" in screen_lines(app)[0])
        owner.journal.append(ev.ControlChanged(7, "paused"))
        await until(lambda: "space go on" in screen_lines(app)[-1])
        await pilot.press("p", "c")
        assert [answer.request for answer in owner.serve()] == ["probe", "checkpoint"]
        await until(lambda: "PAUSED" in screen_lines(app)[0])
        await pilot.press("space")
        assert [answer.request for answer in owner.serve()] == ["resume"]
        owner.journal.append(ev.ControlChanged(7, "resumed"))
        await until(lambda: "RUNNING" in screen_lines(app)[0])


async def test_a_watched_run_is_edited_and_stopped(owner: Owner) -> None:
    engine = Follower(owner.path, poll_seconds=0.01)
    async with console(engine, (100, 30), read_only=True, remote=Remote(owner.path)) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("e")
        await until(lambda: "edit while running" in screen_text(app))
        await pilot.press(*"0.25", "enter")
        await until(lambda: (owner.path / "control").exists() and owner.serve())
        assert owner.control.take_requests().edits[0].value == 0.25
        await until(lambda: "RUNNING" in screen_text(app))
        await pilot.press("s")
        await until(lambda: "stop the run?" in screen_text(app))
        await pilot.press("y")
        assert [answer.request for answer in owner.serve()] == ["stop"]
        await until(lambda: "STOPPING" in screen_text(app))
        await pilot.press("q")
        await until(lambda: not app.is_running)


async def test_whoever_leaves_a_watched_run_does_not_ask_it_to_stop(owner: Owner) -> None:
    engine = Follower(owner.path, poll_seconds=0.01)
    async with console(engine, (100, 30), read_only=True, remote=Remote(owner.path)) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert owner.serve() == []


async def test_a_watched_run_whose_process_died_says_so_at_the_key(owner: Owner) -> None:
    engine = Follower(owner.path, poll_seconds=0.01)
    async with console(engine, (100, 30), read_only=True, remote=Remote(owner.path)) as (app, pilot):
        await until(lambda: app.state.run)
        owner.directory.close()
        await pilot.press("p")
        assert "no process trains in" in next(iter(app._notifications)).message
        assert "ASKED" not in screen_lines(app)[0]


async def test_silence_is_told(owner: Owner) -> None:
    clock = Clock()
    engine = Follower(owner.path, poll_seconds=0.01)
    async with console(engine, (100, 30), read_only=True, remote=Remote(owner.path, clock)) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("p")
        clock.now = PATIENCE + 1
        await until(lambda: any("did not answer 'probe'" in note.message for note in app._notifications))
        await until(lambda: "RUNNING" in screen_lines(app)[0])


async def test_who_may_only_look_on_is_told_why_and_sees_no_keys(owner: Owner) -> None:
    engine = Follower(owner.path, poll_seconds=0.01)
    why_not = "run demo belongs to ann, who alone may steer it; you are bob"
    async with console(engine, (100, 30), read_only=True, why_not=why_not) as (app, pilot):
        await until(lambda: app.state.run)
        await until(lambda: [note.message for note in app._notifications] == [why_not])
        assert "pause" not in screen_lines(app)[-1]
        await pilot.press("space", "p", "s")
        assert {note.message for note in app._notifications} == {why_not}
    assert owner.serve() == []


async def test_the_palette_of_a_watched_run_steers_it_too(owner: Owner) -> None:
    engine = Follower(owner.path, poll_seconds=0.01)
    async with console(engine, (100, 30), read_only=True, remote=Remote(owner.path)) as (app, _):
        await until(lambda: app.state.run)
        assert {"Pause", "Stop"} <= {command.title for command in app.get_system_commands(app.screen)}
        owner.journal.append(ev.ControlChanged(7, "paused"))
        await until(lambda: "Go on" in {command.title for command in app.get_system_commands(app.screen)})
