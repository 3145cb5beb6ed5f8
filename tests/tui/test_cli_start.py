"""The program itself on a pseudo-terminal, stopped while it starts."""

import signal
import sys
import time
from pathlib import Path

import pytest

from tests.tui.pseudo_terminal import Terminal, process_in_terminal

LIMIT = 5.0
"""Seconds to leave in; 2 on a machine that does nothing else."""
MOMENTS = (0.05, 0.9, 1.6, 2.8)
"""Seconds after the first line of ours has run."""


def command(ui: str, *values: str) -> list[str]:
    return [sys.executable, "-m", "claf_tui", "train", "--device", "cpu", "--ui", ui, *values]


def has_reached_our_code(shown: Terminal) -> bool:
    """Whether the process catches SIGTERM, which Python by itself does not; before, a signal is Python's affair."""
    status = Path(f"/proc/{shown.process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def assert_left(shown: Terminal, number: signal.Signals, root: Path) -> None:
    started = time.monotonic()
    shown.process.send_signal(number)
    code = shown.left_with()
    assert time.monotonic() - started < LIMIT
    assert code in {128 + number, -number}  # the latter before our own code is reached
    assert b"Traceback" not in shown.written
    assert shown.modes_are_restored
    assert [run for run in root.glob("*") if not (run / "metrics.jsonl").exists()] == []  # it may have begun by then


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    ("ui", "number"),
    [("tui", signal.SIGTERM), ("tui", signal.SIGHUP), ("plain", signal.SIGINT), ("plain", signal.SIGTERM)],
)
def test_a_signal_during_the_start_leaves_at_once_and_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ui: str, number: signal.Signals, moment: float
) -> None:
    monkeypatch.setenv("CLAF_RUNS_DIR", str(tmp_path / "runs"))
    with process_in_terminal(command(ui)) as shown:
        shown.until(lambda: has_reached_our_code(shown))
        assert shown.is_running_after(moment)
        assert_left(shown, number, tmp_path / "runs")


@pytest.mark.slow
@pytest.mark.parametrize("ui", ["tui", "plain"])
def test_without_a_signal_the_start_goes_on_to_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ui: str) -> None:
    monkeypatch.setenv("CLAF_RUNS_DIR", str(tmp_path / "runs"))
    with process_in_terminal(command(ui, "--preset", "smoke")) as shown:
        shown.until(lambda: list(tmp_path.glob("runs/*/metrics.jsonl")))
        assert shown.process.poll() is None
