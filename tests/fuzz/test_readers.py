"""Whatever lies in a file that others may have written, only an error of ours comes out, and nothing is written."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from claf_engine.terms.errors import ClafError
from tests.engine.tiny import finished_run, tiny_config
from tests.fuzz.data_readers import DATA_READERS
from tests.fuzz.run_readers import RUN_READERS
from tests.properties import examples

READERS = RUN_READERS | DATA_READERS
NUM_EXAMPLES, NUM_SOAKED = 30, 10_000
LONGEST = 10.0
"""Seconds of processor time that no file of these sizes may take."""


class Content(bytes):
    """The bytes of a file, of which a report of a failure shows the beginning and the end."""

    def __repr__(self) -> str:
        return bytes.__repr__(self) if len(self) < 2000 else f"{self[:1000]!r} ... {self[-500:]!r}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, which each test copies."""
    config = tiny_config(method="natural", supervised__epochs=1, checkpoint={"every_steps": 2, "min_seconds": 0})
    directory = finished_run(tmp_path_factory.mktemp("finished"), config)
    return directory.path


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", READERS)
def test_no_file_gets_anything_but_an_error_of_ours_out_of_its_reader(
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    name: str,
) -> None:
    monkeypatch.setenv("CLAF_CACHE_DIR", str(tmp_path / "cache"))
    run = Path(shutil.copytree(finished, tmp_path / "runs" / finished.name))
    reader = READERS[name]
    file = reader.make(run)
    whole = file.read_bytes()
    told = {"name": name, "examples": 0, "read": 0}
    record_property("reader", told)
    assert reader.read(run, file), "the control: the whole file is read"
    file.write_bytes(whole)
    os.utime(file, (0, 0))

    before = listing(run)

    @examples(NUM_EXAMPLES, soaked=NUM_SOAKED, suppress_health_check=list(HealthCheck))
    @given((st.binary(max_size=300) | reader.damage(whole)).map(Content))
    def holds(data: Content) -> None:
        file.write_bytes(data)
        started = time.process_time()
        told["examples"] += 1
        with contextlib.suppress(ClafError):
            told["read"] += bool(reader.read(run, file))
        assert time.process_time() - started < LONGEST

    holds()
    file.write_bytes(whole)
    os.utime(file, (0, 0))
    assert reader.writes or listing(run) == before, "nothing was written, not even for a moment"


def listing(folder: Path) -> dict[Path, tuple[int, int]]:
    """What lies below a folder, folders too, with what changes when something is written, or made and removed again."""
    return {path: (status.st_size, status.st_mtime_ns) for path in folder.rglob("*") for status in [path.lstat()]}
