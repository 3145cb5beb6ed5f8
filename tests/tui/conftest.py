import itertools
import threading
from collections.abc import Iterator

import pytest

from tests.tui.consoles import HANG

_HOMES = itertools.count()
"""Numbers of folders that nobody makes before there is something to keep in them."""


@pytest.fixture(autouse=True)
def _waits_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a process that is idle for half of 8 ms as idle: the console's clock never lets it rest for long."""
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 0.008)
    monkeypatch.setattr("textual._wait.SLEEP_IDLE", 0.004)
    monkeypatch.setattr("claf_tui.console.base.POLLS_PER_SECOND", 20)
    monkeypatch.setattr("claf_tui.console.base.CPU_SHARE", 1.0)


@pytest.fixture(autouse=True)
def _nobody_has_preferences(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the keys and the theme of whoever runs the tests out of them, and what tests choose out of theirs."""
    home = tmp_path_factory.getbasetemp() / "homes" / str(next(_HOMES))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.delenv("CLAF_THEME", raising=False)


@pytest.fixture(autouse=True)
def _no_engine_thread_survives() -> Iterator[None]:
    yield
    alive = [thread for thread in threading.enumerate() if thread.name == "engine"]
    for thread in alive:
        thread.join(HANG)
    assert not any(thread.is_alive() for thread in alive)
