"""A journal of any length is followed in bounded memory, and few of its lines are parsed."""

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from claf_engine import events as ev
from claf_engine.events import records
from claf_engine.events.control import Control
from claf_engine.runs import streaming
from claf_engine.runs.journal import EVENTS, METRICS, Journal, count_records
from claf_tui.console.follower import Follower
from claf_tui.state import RunState, reduce
from tests.tui.console.test_follower import write
from tests.tui.reports.test_printers import LOGGED
from tests.tui.scripted import run_started

MEBIBYTE = 2**20
PROBE = ev.ProbeFinished(0, 0, 1, "natural", 0.5, (), 1.0)
EVERY = 1000
"""Steps between two probes."""


def long_journal(directory: Path, num_steps: int) -> None:
    """The journal of a run of so many steps that has finished; written line by line, so that it may be large."""
    directory.mkdir()
    seq = 1
    logged, probe = records.to_record(LOGGED), records.to_record(PROBE)
    with (directory / METRICS).open("w") as file:
        for step in range(1, num_steps + 1):
            told = [{**logged, "step": step, "loss": step + 0.123456789}]
            told += [{**probe, "step": step, "natural": step / num_steps}] if step % EVERY == 0 else []
            for record in told:
                file.write(json.dumps({"seq": seq, **record}) + "\n")
                seq += 1
    ends = {0: run_started(directory), seq: ev.RunFinished("finished", num_steps, 1.0)}
    lines = [json.dumps({"seq": place, **records.to_record(event)}) + "\n" for place, event in ends.items()]
    (directory / EVENTS).write_text("".join(lines))


def peak_of(work: Callable[[], object]) -> int:
    """The most bytes that a piece of work holds at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def state_of(directory: Path, max_steps: int) -> RunState:
    state = RunState()
    for event in Follower(directory, poll_seconds=0.01, max_steps=max_steps)(Control()):
        state = reduce(state, event)
    return state


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every line that is parsed while a journal is followed."""
    found: list[bytes] = []
    real = streaming.record_of

    def record_of(line: bytes) -> dict[str, Any] | None:
        found.append(line)
        return real(line)

    monkeypatch.setattr(streaming, "record_of", record_of)
    return found


def test_a_long_run_is_shown_as_it_stands_and_that_steps_were_left_out_is_said(tmp_path: Path) -> None:
    long_journal(tmp_path / "run", 5000)
    whole, thinned = state_of(tmp_path / "run", 10_000), state_of(tmp_path / "run", 100)
    (curve,), (whole_curve,) = thinned.losses.values(), whole.losses.values()
    assert len(curve.points) < len(whole_curve.points) / 2
    assert curve.latest == whole_curve.latest == 5000.123456789
    assert (thinned.step, thinned.probe, thinned.finished) == (whole.step, whole.probe, whole.finished)
    assert thinned.probes == whole.probes
    told = [line.text for line in thinned.log if "curves are drawn from 1 in" in line.text]
    assert len(told) == 1
    assert "of 5000 logged steps were passed over unread" in told[0]
    assert not [line for line in whole.log if "curves are drawn" in line.text]


def test_what_is_added_to_a_long_run_is_all_shown(tmp_path: Path) -> None:
    long_journal(tmp_path / "run", 5000)
    follower = Follower(tmp_path / "run", max_steps=100)
    assert len(list(follower._look())) < 1000
    added = [replace(LOGGED, step=step) for step in range(5001, 5021)]
    write(tmp_path / "run", *added)
    assert list(follower._look()) == added


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_times_as_long_a_run_takes_no_more_memory_and_parses_no_more_steps(
    tmp_path: Path, parsed: list[bytes]
) -> None:
    peaks, num_steps_parsed = [], []
    for number, num_steps in enumerate((20_000, 200_000)):
        folder = tmp_path / str(number)
        long_journal(folder, num_steps)
        parsed.clear()
        peaks.append(peak_of(lambda folder=folder: sum(1 for _ in Follower(folder, max_steps=1000)._look())))
        num_steps_parsed.append(sum(b"StepLogged" in line for line in parsed))
        assert sum(b"ProbeFinished" in line for line in parsed) == num_steps // EVERY
    assert (tmp_path / "1" / METRICS).stat().st_size > 8 * peaks[1]
    assert peaks[1] < peaks[0] + MEBIBYTE
    assert num_steps_parsed[0] < 1200
    assert num_steps_parsed[1] < 1200 + 200_000 // EVERY


NOT_OURS = {
    "empty objects": b"{}\n" * 50_000,
    "empty lines": b"\n" * 1_000_000,
    "one line": b"x" * (40 * MEBIBYTE) + b"\n",
    "one line without an end": b"x" * (40 * MEBIBYTE),
    "steps of somebody": b'{"type": "StepLogged", "phase": 0}\n' * 20_000,
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("content", NOT_OURS.values(), ids=NOT_OURS)
def test_a_long_file_that_is_no_journal_of_ours_does_not_fill_the_memory(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, ev.RunFinished("stopped", 1, 1.0))
    (tmp_path / METRICS).write_bytes(content)
    found: list[ev.Event] = []
    assert peak_of(lambda: found.extend(Follower(tmp_path)._look())) < 25 * MEBIBYTE
    assert found[-1] == ev.RunFinished("stopped", 1, 1.0)
    assert len(found) == (1 if content.endswith(b"x") else 2)


@pytest.mark.slow
def test_a_run_is_resumed_without_its_journal_in_memory(tmp_path: Path) -> None:
    long_journal(tmp_path / "run", 20_000)
    metrics = tmp_path / "run" / METRICS
    whole = metrics.read_bytes()
    metrics.write_bytes(whole + b"torn")
    journal = Journal(tmp_path / "run")
    num_records = count_records(tmp_path / "run")

    def resume() -> None:
        assert journal.open(keep=num_records - 10) == 10
        journal.close()

    for work in (lambda: count_records(tmp_path / "run"), resume):
        assert peak_of(work) < len(whole) / 3
    assert journal.num_records == num_records - 10
    assert whole.startswith(metrics.read_bytes())
    assert len(metrics.read_bytes().splitlines()) == len(whole.splitlines()) - 9
