import json
from pathlib import Path

import pytest

from claf_engine.runs.journal import METRICS, Journal
from claf_engine.runs.lines import LINE_CAP
from claf_engine.runs.probe_history import MAX_SERIES, MAX_VALUES, PIECE, ProbeHistory, read_on
from tests.engine.runs.listed import probe, probed_run
from tests.tui.hostile import EVERYTHING

ALL = 2**30


def add(run: Path, *probes: object) -> None:
    journal = Journal(run)
    journal.open()
    for each in probes:
        journal.append(each)  # type: ignore[arg-type]
    journal.close()


def test_the_best_probe_and_the_way_to_it_are_told(tmp_path: Path) -> None:
    history, has_ended = read_on(probed_run(tmp_path, "1-a", 0.2, 0.5, 0.4), ProbeHistory(), ALL)
    latest = history.latest
    assert has_ended
    assert latest is not None
    assert (latest.best.accuracy, latest.natural, latest.step, latest.values) == (0.5, 0.8, 200, (0.2, 0.5, 0.4))


def test_each_byte_is_read_once(tmp_path: Path) -> None:
    run = probed_run(tmp_path, "1-a", 0.2)
    history, _ = read_on(run, ProbeHistory(), ALL)
    add(run, probe(200, 0.3))
    with (run / METRICS).open("a") as file:
        file.write('{"seq": 3, "type": "ProbeFinished", "step"')
    grown, _ = read_on(run, history, ALL)
    assert grown.offset > history.offset
    assert grown.latest is not None
    assert grown.latest.values == (0.2, 0.3)
    assert read_on(run, grown, ALL)[0] == grown


def test_figures_of_another_classifier_or_radius_are_not_compared(tmp_path: Path) -> None:
    run = probed_run(tmp_path, "1-a", 0.6)
    add(run, probe(200, 0.3, "linear"), probe(300, 0.2, "linear", "16/255"))
    history, _ = read_on(run, ProbeHistory(), ALL)
    assert history.latest is not None
    assert (history.latest.best.accuracy, history.latest.best.epsilon) == (0.2, "16/255")
    assert [len(series.values) for series in history.series] == [1, 1, 1]


def test_a_journal_that_lost_its_end_is_read_from_its_beginning(tmp_path: Path) -> None:
    run = probed_run(tmp_path, "1-a", 0.2, 0.5, 0.4)
    history, _ = read_on(run, ProbeHistory(), ALL)
    lines = (run / METRICS).read_bytes().splitlines(keepends=True)
    (run / METRICS).write_bytes(lines[0])
    shorter, _ = read_on(run, history, ALL)
    assert shorter.latest is not None
    assert shorter.latest.values == (0.2,)


def test_values_and_series_stay_bounded_and_the_best_is_exact(tmp_path: Path) -> None:
    run = probed_run(tmp_path, "1-a", *(0.001 * number for number in range(500)))
    add(run, *(probe(1, 0.1, f"c{number}") for number in range(50)))
    history, _ = read_on(run, ProbeHistory(), ALL)
    assert len(history.series) == MAX_SERIES
    first, _ = read_on(probed_run(tmp_path, "2-b", *(0.001 * n for n in range(500))), ProbeHistory(), ALL)
    assert first.latest is not None
    assert (first.latest.best.accuracy, first.latest.num_values) == (pytest.approx(0.499), 500)
    assert MAX_VALUES // 2 <= len(first.latest.values) <= MAX_VALUES


KEYS = ("step", "classifier", "natural", "robust")
NO_PROBES = [
    b'{"seq": 1, "type": "ProbeFinished"}',
    b'{"type": "ProbeFinished", "step": 1}',
    b'"type": "ProbeFinished"',
    b"x" * (LINE_CAP + PIECE) + b'"type": "ProbeFinished"',
    json.dumps({"seq": 1, "type": "ProbeFinished", **dict.fromkeys(KEYS, EVERYTHING)}).encode(),
    b'{"seq": 1, "type": "ProbeFinished", "step": 1, "classifier": "a", "natural": 0.5, "robust": [{"accuracy": 7}]}',
]


@pytest.mark.parametrize("line", NO_PROBES, ids=range(len(NO_PROBES)))
def test_a_line_that_is_no_probe_costs_itself(tmp_path: Path, line: bytes) -> None:
    run = probed_run(tmp_path, "1-a", 0.2)
    own = (run / METRICS).read_bytes()
    (run / METRICS).write_bytes(line + b"\n" + own)
    history, has_ended = read_on(run, ProbeHistory(), ALL)
    assert has_ended
    assert history.latest is not None
    assert history.latest.values == (0.2,)


def test_a_long_journal_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = probed_run(tmp_path, "1-a", *[0.1] * 50)
    monkeypatch.setattr("claf_engine.runs.probe_history.PIECE", 1000)
    history, has_ended = read_on(run, ProbeHistory(), 1)
    assert not has_ended
    while not has_ended:
        history, has_ended = read_on(run, history, 1)
    assert history.latest is not None
    assert history.latest.num_values == 50


def test_without_a_journal_there_are_no_probes(tmp_path: Path) -> None:
    assert read_on(tmp_path, ProbeHistory(), ALL) == (ProbeHistory(), True)
