from pathlib import Path

from claf_engine.runs.tail import Tail


def lines(tail: Tail) -> list[bytes]:
    return [line for batch in tail.batches() for line in batch]


def test_what_is_added_is_read_once_and_only_when_its_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"one\ntw")
    tail = Tail(path)
    assert lines(tail) == [b"one"]
    with path.open("ab") as file:
        file.write(b"o\n")
    assert [lines(tail), lines(tail)] == [[b"two"], []]


def test_from_the_end_on_only_what_comes_later_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"one\n")
    tail = Tail(path, from_end=True)
    with path.open("ab") as file:
        file.write(b"two\n")
    assert lines(tail) == [b"two"]


def test_a_file_that_comes_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "journal", from_end=True)
    assert lines(tail) == []
    (tmp_path / "journal").write_bytes(b"one\n")
    assert lines(tail) == [b"one"]
