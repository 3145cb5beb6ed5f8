from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine.terms.errors import RunError
from claf_tui.reports.written_file import write_new


def test_a_file_that_is_there_is_kept_unless_that_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    write_new(file, [b"one"])
    with pytest.raises(RunError, match="--force"):
        write_new(file, [b"two"])
    assert file.read_bytes() == b"one"
    write_new(file, [b"tw", b"o"], force=True)
    assert file.read_bytes() == b"two"


def test_what_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"half"
        raise RunError("the journal is gone")

    with pytest.raises(RunError, match="journal"):
        write_new(tmp_path / "a.csv", parts())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [".", "gone/a.csv"])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, place: str) -> None:
    with pytest.raises(RunError, match="name a"):
        write_new(tmp_path / place, [b""], force=True)
