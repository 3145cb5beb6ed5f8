"""`claf-tui` alone, as a process of its own on a terminal."""

import signal
import sys
from pathlib import Path

import pytest

from tests.tui.pseudo_terminal import process_in_terminal
from tests.tui.screens.runs.browsing import make_runs

COMMAND = [sys.executable, "-m", "claf_tui"]


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_runs(tmp_path / "runs")
    monkeypatch.setenv("CLAF_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("CLAF_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.slow
def test_a_run_is_opened_and_left_again_and_the_list_is_as_it_was(tmp_path: Path) -> None:
    with process_in_terminal(COMMAND) as terminal:
        terminal.until("4 runs")
        terminal.press("/robust>35\r")
        terminal.until("2 of 4 runs")
        terminal.read(1.0)
        terminal.press("j\r")
        terminal.until("esc runs")
        terminal.press("\x1b")
        terminal.until("2 of 4 runs")
        terminal.until("20270102-000000-best")
        terminal.press("q")
        assert terminal.left_with() == 0
        assert terminal.is_restored
    assert list((tmp_path / "cache" / "runs").glob("*.sqlite"))


@pytest.mark.slow
def test_a_signal_ends_the_list_with_its_code_and_a_sane_terminal() -> None:
    with process_in_terminal(COMMAND) as terminal:
        terminal.until("4 runs")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.left_with() == 143
        assert terminal.is_restored
