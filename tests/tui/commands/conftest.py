import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from claf_engine import events as ev
from claf_engine.config import RunConfig
from claf_engine.events import records
from claf_engine.events.control import Control
from claf_engine.runs import RunDirectory, create_run
from tests.tui.scripted import Script

Run = Callable[[RunDirectory, Control], Iterator[ev.Event]]
UseEngine = Callable[[Run], None]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs folder of the test, named by the environment."""
    monkeypatch.setenv("CLAF_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


@pytest.fixture
def run(root: Path) -> Iterator[RunDirectory]:
    """A run that this process holds."""
    directory = create_run(root, "demo", RunConfig(), [])
    yield directory
    directory.close()


@pytest.fixture
def use_engine(monkeypatch: pytest.MonkeyPatch) -> UseEngine:
    """Puts another engine in place of the real one."""

    def use(run: Run) -> None:
        monkeypatch.setitem(sys.modules, "claf_engine.training.run", SimpleNamespace(run=run))

    return use


@pytest.fixture(autouse=True)
def _engine_is_scripted(use_engine: UseEngine) -> None:
    use_engine(scripted_run)


def scripted_run(directory: RunDirectory, control: Control) -> Iterator[ev.Event]:
    """Play a run and write its status as the real engine does."""
    for event in Script(directory.path)(control):
        if isinstance(event, ev.RunFinished):
            directory.write_status({"method": "claf", "data": "shapes", **records.to_record(event)})
        yield event
