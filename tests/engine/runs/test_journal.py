import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.runs.journal import EVENTS, METRICS, Journal, read_events, read_records
from claf_engine.terms.errors import RunError


def logged(step: int, loss: float = 1.0) -> ev.StepLogged:
    return ev.StepLogged(step, 0, 1, "encoder", "supcon", loss, 0.1, None, 1.0)


def notice(text: str) -> ev.Notice:
    return ev.Notice("info", text)


@contextmanager
def opened(folder: Path, keep: int | None = None) -> Iterator[Journal]:
    journal = Journal(folder)
    journal.open(keep=keep)
    try:
        yield journal
    finally:
        journal.close()


def write(folder: Path, *events: ev.Event) -> None:
    with opened(folder) as journal:
        for event in events:
            journal.append(event)


def places(folder: Path, name: str) -> list[int]:
    return [record["seq"] for record in read_records(folder / name)]


def test_what_is_plotted_and_what_happens_go_to_two_files_and_come_back_in_order(tmp_path: Path) -> None:
    events = (notice("a"), logged(1), notice("b"), logged(2))
    write(tmp_path, *events)
    assert (places(tmp_path, METRICS), places(tmp_path, EVENTS)) == ([1, 3], [0, 2])
    assert read_events(tmp_path) == list(events)


def test_every_line_is_plain_json_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, notice("a\nb \x1b[31m \udcff é"), logged(1, math.nan))
    text = (tmp_path / EVENTS).read_bytes()
    assert text.isascii()
    assert b"\x1b" not in text
    assert json.loads((tmp_path / METRICS).read_text())["loss"] is None


def test_appending_goes_on_with_the_numbering(tmp_path: Path) -> None:
    write(tmp_path, logged(1), notice("a"))
    write(tmp_path, logged(2))
    assert (places(tmp_path, METRICS), places(tmp_path, EVENTS)) == ([0, 2], [1])


@pytest.mark.parametrize("name", [METRICS, EVENTS])
def test_a_torn_last_line_is_cut_off_and_its_place_is_used_again(tmp_path: Path, name: str) -> None:
    write(tmp_path, logged(1), notice("a"), logged(2), notice("b"))
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-5])
    assert len(read_events(tmp_path)) == 3
    write(tmp_path, logged(3))
    assert read_events(tmp_path)[-1] == logged(3)
    assert path.read_bytes().endswith(b"\n")


def test_a_line_that_is_torn_in_one_file_never_makes_two_records_share_a_place(tmp_path: Path) -> None:
    write(tmp_path, logged(1), logged(2), notice("a"))
    metrics = tmp_path / METRICS
    metrics.write_bytes(metrics.read_bytes()[:-5])
    write(tmp_path, notice("b"))
    assert places(tmp_path, METRICS) + places(tmp_path, EVENTS) == [0, 2, 3]


def test_rewinding_drops_exactly_the_records_from_a_place_on(tmp_path: Path) -> None:
    write(tmp_path, logged(1), notice("a"), logged(2), notice("b"), logged(3))
    with opened(tmp_path, keep=2) as journal:
        assert journal.num_records == 2
    assert read_events(tmp_path) == [logged(1), notice("a")]


def test_rewinding_says_how_many_records_it_dropped(tmp_path: Path) -> None:
    write(tmp_path, logged(1), notice("a"), logged(2))
    journal = Journal(tmp_path)
    assert journal.open(keep=1) == 2
    journal.close()


def test_a_rewound_journal_goes_on_as_if_the_rest_had_never_been(tmp_path: Path) -> None:
    (tmp_path / "straight").mkdir()
    (tmp_path / "rewound").mkdir()
    write(tmp_path / "straight", logged(1), notice("a"), logged(2))
    write(tmp_path / "rewound", logged(1), notice("a"), notice("lost"), logged(9))
    with opened(tmp_path / "rewound", keep=2) as journal:
        journal.append(logged(2))
    for name in (METRICS, EVENTS):
        assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "rewound" / name).read_bytes()


def test_opening_a_whole_journal_does_not_touch_its_files(tmp_path: Path) -> None:
    write(tmp_path, logged(1), notice("é"))
    before = [(tmp_path / name).stat().st_ino for name in (METRICS, EVENTS)]
    with opened(tmp_path):
        assert [(tmp_path / name).stat().st_ino for name in (METRICS, EVENTS)] == before


@pytest.mark.parametrize(
    "garbage", [b"not json\n", b"[1, 2]\n", b"\x00\xff\n", b'{"type": "Notice"}\n', b'{"seq": "x"}\n']
)
def test_lines_that_are_no_records_are_left_out(tmp_path: Path, garbage: bytes) -> None:
    write(tmp_path, notice("a"))
    path = tmp_path / EVENTS
    path.write_bytes(garbage + path.read_bytes())
    assert read_events(tmp_path) == [notice("a")]


def test_records_of_unknown_types_are_left_out(tmp_path: Path) -> None:
    (tmp_path / EVENTS).write_bytes(b'{"seq": 0, "type": "FromTheFuture"}\n')
    assert read_events(tmp_path) == []


def test_a_folder_without_a_journal_holds_no_events(tmp_path: Path) -> None:
    assert read_events(tmp_path) == []


def test_a_full_disk_is_named_and_the_records_before_stay(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append(logged(1))
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, journal._files[METRICS])
        os.close(full)
        with pytest.raises(RunError, match=r"metrics\.jsonl: No space left on device; .* make room and resume"):
            journal.append(logged(2))
        assert journal.num_records == 1
    assert read_events(tmp_path) == [logged(1)]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot write .*No such file or directory"):
        Journal(tmp_path / "none").open()
