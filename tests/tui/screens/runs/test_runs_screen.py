import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from claf_engine.runs.labels import Labels, read_labels
from claf_tui.screens.checkpoints.actions import ResumeRequest
from claf_tui.screens.checkpoints.browser import CheckpointBrowser
from claf_tui.screens.comparison import ComparisonScreen
from claf_tui.screens.confirm_dialog import ConfirmScreen
from claf_tui.screens.new_run import NewRunScreen
from claf_tui.screens.runs.requests import NewRunRequest, OpenRequest, RunsView
from claf_tui.state.draft import Draft
from claf_tui.state.run_order import Order
from claf_tui.widgets.run_table import RunHead, RunTable
from tests.engine.runs.listed import probed_run
from tests.tui.consoles import screen_text, until
from tests.tui.screens.runs.browsing import listing, make_runs, rows
from tests.tui.scripted import write_checkpoint

pytestmark = pytest.mark.usefixtures("_clock")


@pytest.fixture
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_engine.runs.catalogue.SEEN_SECONDS", 0.0)
    monkeypatch.setattr("claf_engine.runs.catalogue.LIVE_SECONDS", 0.0)
    monkeypatch.setattr("claf_tui.console.runs_feed.LOOK_EVERY", 0.05)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    make_runs(root)
    return root


@pytest.fixture
def live(root: Path) -> Iterator[Path]:
    """A run whose lock is held."""
    run = probed_run(
        root, "20260101-000000-live", 0.1, status="running", run_fraction=0.25, method="claf", data="shapes"
    )
    with open(run / "run.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield run


def told(app: object) -> str:
    return " ".join(str(note.message) for note in app._notifications)  # type: ignore[attr-defined]


async def test_live_runs_come_first_and_then_the_newest(root: Path, live: Path) -> None:
    async with listing(root) as (app, _):
        assert rows(app) == ["live", "cut", "other", "best", "old"]
        assert "5 runs · 1 live" in screen_text(app)
        assert "interrupted" in screen_text(app)


async def test_a_live_run_moves_and_a_new_one_appears(root: Path, live: Path) -> None:
    async with listing(root) as (app, _):
        status = {"status": "running", "run_fraction": 0.75, "method": "claf", "data": "shapes"}
        (live / "status.json").write_text(json.dumps(status))
        probed_run(root, "20270105-000000-new", 0.2, status="stopped")
        await until(lambda: "75%" in screen_text(app) and "new" in rows(app))


async def test_typing_filters_at_once_and_escape_takes_it_back(root: Path) -> None:
    async with listing(root) as (app, pilot):
        await pilot.press("slash", *"robust>35")
        await pilot.pause()
        assert rows(app) == ["cut", "best"]
        assert "2 of 4 runs" in screen_text(app)
        await pilot.press("down", "down")
        assert app.run_directory == root / "20270102-000000-best"
        await pilot.press("escape")
        await pilot.pause()
        assert len(rows(app)) == 4


async def test_the_key_that_begins_a_filter_can_be_typed_in_one(root: Path) -> None:
    async with listing(root) as (app, pilot):
        await pilot.press("slash", *"a/b")
        assert app.screen.query_one(Input).value == "a/b"


async def test_a_wrong_filter_says_why_and_keeps_the_last_list(root: Path) -> None:
    async with listing(root) as (app, pilot):
        await pilot.press("slash", *"method:at")
        app.screen.query_one(Input).value += " colour:red"
        await pilot.pause()
        assert rows(app) == ["other"]
        assert "there is no 'colour'" in screen_text(app)
        app.screen.query_one(Input).value = "method:at"
        await pilot.pause()
        assert not app.screen.query_one("#runs-error", Static).display


async def test_a_column_sorts_by_its_key_and_by_a_click_on_its_heading(root: Path) -> None:
    async with listing(root) as (app, pilot):
        await pilot.press(*["s"] * 7)
        await pilot.pause()
        assert app.screen.view.order == Order("robust")  # type: ignore[attr-defined]
        assert rows(app) == ["best", "cut", "other", "old"]
        await pilot.press("S")
        await pilot.pause()
        assert rows(app) == ["old", "other", "cut", "best"]
        head = app.screen.query_one(RunHead)
        await pilot.click(RunHead, offset=(head.render().plain.index("name"), 0))
        await pilot.pause()
        assert rows(app) == ["best", "cut", "old", "other"]


async def test_enter_and_a_double_click_open_a_run_and_the_list_is_found_again(root: Path) -> None:
    async with listing(root, view=RunsView("method:claf", Order("robust"), "20270104-000000-cut")) as (app, pilot):
        assert app.run_directory == root / "20270104-000000-cut"
        await pilot.press("enter")
        view = RunsView("method:claf", Order("robust"), "20270104-000000-cut")
        assert app.return_value == OpenRequest(root / "20270104-000000-cut", view)
    async with listing(root) as (app, pilot):
        await pilot.click(RunTable, offset=(10, 1), times=2)
        assert isinstance(app.return_value, OpenRequest)
        assert app.return_value.run == root / "20270103-000000-other"


async def test_marked_runs_are_compared(root: Path) -> None:
    async with listing(root) as (app, pilot):
        await pilot.press("c")
        assert "space marks runs" in told(app)
        await pilot.press("space", "space")
        await pilot.pause()
        assert "2 marked" in screen_text(app)
        await pilot.press("c")
        await until(lambda: isinstance(app.screen, ComparisonScreen))
        await until(lambda: "cut" in screen_text(app) and "other" in screen_text(app))
        await pilot.press("escape")
        await until(lambda: len(rows(app)) == 4)


async def test_a_note_and_tags_are_written_and_shown(root: Path) -> None:
    async with listing(root) as (app, pilot):
        await pilot.press("n", *"for the paper", "enter", "t", *"best wide", "enter")
        await until(lambda: "#best #wide  for the paper" in screen_text(app))
        run = root / "20270104-000000-cut"
        assert read_labels(run)[0] == Labels("for the paper", ("best", "wide"))
        await pilot.press("t", *" !no", "enter")
        await pilot.pause()
        assert "is no tag" in screen_text(app)


async def test_a_run_is_put_away_and_taken_back(root: Path, live: Path) -> None:
    async with listing(root) as (app, pilot):
        await pilot.press("a")
        assert "a live run is not put away" in told(app)
        await pilot.press("down", "a")
        await until(lambda: rows(app) == ["live", "other", "best", "old"])
        assert "1 put away" in screen_text(app)
        await pilot.press("slash", *"state:archived", "enter", "a")
        await until(lambda: not rows(app))
        assert "no run fits" in screen_text(app)
        await pilot.press("escape")
        await until(lambda: len(rows(app)) == 5)


async def test_a_run_is_deleted_when_that_was_confirmed(root: Path) -> None:
    async with listing(root) as (app, pilot):
        await pilot.press("d")
        await until(lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.pause()
        assert "0 checkpoints: they cannot be brought back" in screen_text(app)
        await pilot.press("n", "delete")
        await until(lambda: isinstance(app.screen, ConfirmScreen))
        assert (root / "20270104-000000-cut").is_dir()
        await pilot.press("y")
        await until(lambda: rows(app) == ["other", "best", "old"])
        assert not (root / "20270104-000000-cut").exists()


async def test_a_live_run_is_not_deleted(root: Path, live: Path) -> None:
    async with listing(root) as (app, pilot):
        await pilot.press("d")
        await until(lambda: "not deleted: run 20260101-000000-live is live" in told(app))
        assert live.is_dir()


async def test_a_run_is_resumed_from_its_newest_checkpoint_or_it_says_why_not(root: Path) -> None:
    cut = root / "20270104-000000-cut"
    newest = [write_checkpoint(cut, step) for step in (100, 200)][-1]
    async with listing(root) as (app, pilot):
        await pilot.press("down", "r")
        assert "not resumed: it has no checkpoint" in told(app)
        await pilot.press("up", "r")
        assert app.return_value == ResumeRequest(newest)


async def test_a_finished_run_is_not_resumed(root: Path) -> None:
    write_checkpoint(root / "20270101-000000-old", 100)
    async with listing(root) as (app, pilot):
        await pilot.press("end", "r")
        assert "not resumed: run 20270101-000000-old is finished" in told(app)


async def test_its_checkpoints_are_shown_and_escape_leads_back(root: Path) -> None:
    async with listing(root) as (app, pilot):
        await pilot.press("b")
        await until(lambda: isinstance(app.screen, CheckpointBrowser))
        await pilot.press("escape")
        await until(lambda: rows(app))


async def test_only_what_is_seen_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        probed_run(tmp_path, f"20270101-{number:06d}-old", status="stopped")
    async with listing(tmp_path, (80, 24)) as (app, pilot):
        runs = app.screen.query_one(RunTable)
        assert len(runs.seen) == runs.size.height < 20
        await pilot.press("end")
        await pilot.pause()
        assert app.run_directory == tmp_path / "20270101-000000-old"
        assert len(runs._drawn) <= 60


async def test_a_filter_typed_far_below_begins_with_its_first_run(tmp_path: Path) -> None:
    for number in range(40):
        name = "best" if number in (20, 30) else "old"
        probed_run(tmp_path, f"20270101-{number:06d}-{name}", status="stopped")
    async with listing(tmp_path, (80, 24)) as (app, pilot):
        await pilot.press("end", "slash", *"best")
        await pilot.pause()
        seen = app.screen.query_one(RunTable).seen
        assert seen == ("20270101-000030-best", "20270101-000020-best")
        assert app.run_directory == tmp_path / seen[0]


async def test_another_size_keeps_the_cursor_where_it_is(tmp_path: Path) -> None:
    for number in range(60):
        probed_run(tmp_path, f"20270101-{number:06d}-old", status="stopped")
    async with listing(tmp_path, (80, 40)) as (app, pilot):
        await pilot.press("end", "up", "up")
        chosen = app.run_directory
        for size in ((80, 24), (140, 45), (200, 60)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert app.run_directory == chosen
            assert chosen is not None
            assert chosen.name in app.screen.query_one(RunTable).seen


async def test_without_runs_it_says_so(tmp_path: Path) -> None:
    async with listing(tmp_path / "none", (80, 24)) as (app, pilot):
        assert "there are no runs in" in screen_text(app)
        await pilot.press("enter", "space", "d", "a", "r", "n", "t", "b")
        assert "no run is chosen" in told(app)


async def test_a_new_run_is_put_together_in_a_form_and_trained(tmp_path: Path) -> None:
    async with listing(tmp_path / "none") as (app, pilot):
        await pilot.press("N")
        await until(lambda: isinstance(app.screen, NewRunScreen))
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, NewRunScreen))
        await pilot.press("N")
        await until(lambda: "claf-tui train --preset demo" in screen_text(app))
        await pilot.press("s")
        await until(lambda: app.return_value is not None)
        assert app.return_value == NewRunRequest(Draft("demo"))


async def test_a_folder_that_cannot_be_looked_into_is_said(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with listing(root) as (app, _):
        os_listdir = os.listdir

        def refuse(path: object) -> list[str]:
            if path == root:
                raise PermissionError(13, "Permission denied")
            return os_listdir(path)  # type: ignore[call-overload, no-any-return]

        monkeypatch.setattr("claf_engine.runs.catalogue.os.listdir", refuse)
        os.utime(root, (time.time(), time.time()))
        await until(lambda: "Permission denied" in screen_text(app))


async def test_the_cursor_stays_with_its_run_when_others_come(root: Path) -> None:
    async with listing(root) as (app, pilot):
        await pilot.press("down")
        chosen = app.run_directory
        probed_run(root, "20270105-000000-new", 0.2, status="stopped")
        await until(lambda: "new" in rows(app))
        assert app.run_directory == chosen


@pytest.mark.parametrize("size", [(80, 24), (140, 45), (200, 60), (20, 5)])
async def test_every_line_fits_the_terminal(root: Path, size: tuple[int, int]) -> None:
    async with listing(root, size) as (app, pilot):
        await pilot.press("slash", *"x:y", "question_mark")
        await pilot.pause()
        assert all(len(line) <= size[0] for line in screen_text(app).splitlines())
