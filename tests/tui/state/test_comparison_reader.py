import json
from pathlib import Path

from claf_engine import events as ev
from claf_engine.runs.journal import METRICS, Journal
from claf_tui.state import comparison_reader
from claf_tui.state.comparison_reader import ComparisonReader
from tests.tui.compared import compared_folder
from tests.tui.scripted_methods import played, probe


def test_what_did_not_change_is_no_news(tmp_path: Path) -> None:
    reader = ComparisonReader([compared_folder(tmp_path, name) for name in "ab"])
    assert reader.look()
    assert not reader.look()
    assert [run.key for run in reader.runs] == ["A", "B"]


def test_a_probe_that_comes_is_seen(tmp_path: Path) -> None:
    events = list(played(tmp_path / "b", "at"))[:-1]
    live = compared_folder(tmp_path, "b", method="at", status="running", events=events)
    reader = ComparisonReader([compared_folder(tmp_path, "a"), live])
    reader.look()
    journal = Journal(live)
    journal.open()
    journal.append(probe(99, 0, "adversarial", natural=0.111))
    journal.close()
    assert reader.look()
    measured = reader.runs[1].measured
    assert measured is not None
    assert measured.natural.share == 0.111


def test_the_end_of_a_run_is_noticed(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(comparison_reader, "SECONDS_PER_LOOKUP", 0.0)
    events = list(played(tmp_path / "a", "at"))
    folder = compared_folder(tmp_path, "a", method="at", status="stopped", events=events[:-1])
    reader = ComparisonReader([folder])
    reader.look()
    journal = Journal(folder)
    journal.open()
    journal.append(events[-1])
    journal.close()
    (folder / "status.json").write_text(json.dumps({"status": "finished"}))
    reader.look()
    assert reader.runs[0].status == "finished"
    assert isinstance(reader.runs[0].state.finished, ev.RunFinished)


def test_a_run_that_cannot_be_read_is_shown_with_the_reason(tmp_path: Path) -> None:
    folder = compared_folder(tmp_path, "a")
    (folder / METRICS).unlink()
    (folder / METRICS).mkdir()
    reader = ComparisonReader([folder, compared_folder(tmp_path, "b")])
    reader.look()
    assert METRICS in reader.runs[0].notices[0]
    assert len(reader.runs) == 2


def test_units_are_counted_once_they_are_known(tmp_path: Path) -> None:
    reader = ComparisonReader([compared_folder(tmp_path, "a", method="at")])
    reader.look()
    assert reader.runs[0].units is None
    reader.count_units(lambda _: (2.0,))
    assert reader.runs[0].units == 8.0
