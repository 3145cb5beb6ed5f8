import os
import time

import pytest

from benchmarks import idle
from benchmarks.idle import LIMIT, shares_of


def at_work(seconds: float) -> None:
    """Use the processor of this process for a share of the time that passes."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_a_process_that_works_is_told_from_one_that_sleeps() -> None:
    asleep = shares_of({"self": os.getpid()}, 0.2)["self"]
    busy = shares_of({"self": os.getpid()}, 0.2, at_work)["self"]
    assert asleep < busy / 2
    assert busy <= 1.1


def test_the_figures_of_all_processes_are_shown_beside_the_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(idle, "measure", lambda *_: {"watcher": 0.0051})
    idle.main(["--seconds", "1"])
    out = capsys.readouterr().out
    assert "0.51%" in out
    assert f"{LIMIT:.0%}" in out
