import threading
from pathlib import Path

import pytest

from claf_engine.events.control import Control
from claf_engine.runs.catalogue import Catalogue
from claf_engine.runs.catalogue_index import remembered
from claf_tui.console.runs_feed import RunsFeed
from tests.engine.runs.folders import old_run
from tests.engine.runs.listed import probed_run
from tests.tui.consoles import until


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_tui.console.runs_feed.LOOK_EVERY", 0.02)


async def test_it_finds_out_what_there_is_and_what_comes_and_keeps_it(tmp_path: Path) -> None:
    root, index, control = tmp_path / "runs", tmp_path / "index.sqlite", Control()
    probed_run(root, "1-a", 0.2, status="stopped")
    feed = RunsFeed(Catalogue(root, index))
    thread = threading.Thread(target=lambda: list(feed(control)))
    thread.start()
    found: set[str] = set()

    def names() -> set[str]:
        found.update(run.name for news in feed.take() for run in news.changed)
        return found

    try:
        await until(lambda: names() == {"1-a"})
        old_run(root, "2-b", status="stopped")
        await until(lambda: names() == {"1-a", "2-b"})
    finally:
        control.stop()
        thread.join()
    assert remembered(index).keys() == {"1-a", "2-b"}


def test_a_folder_that_cannot_be_looked_into_is_a_problem_and_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control, feed = Control(), RunsFeed(Catalogue(tmp_path, None))

    def refuse(_: object) -> list[str]:
        control.stop()
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("claf_engine.runs.catalogue.os.listdir", refuse)
    assert list(feed(control)) == []
    assert "Permission denied" in feed.problem
