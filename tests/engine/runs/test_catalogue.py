import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from claf_engine.runs import catalogue as module
from claf_engine.runs import catalogue_index
from claf_engine.runs.catalogue import Catalogue
from claf_engine.runs.labels import Labels, write_labels
from claf_engine.runs.overview import Digest, digest_of
from tests.engine.runs.folders import old_run
from tests.engine.runs.listed import probed_run


@pytest.fixture(autouse=True)
def _nothing_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEEN_SECONDS", 0.0)
    monkeypatch.setattr(module, "LIVE_SECONDS", 0.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    for number in range(3):
        probed_run(root, f"2026010{number + 1}-000000-r{number}", 0.2, 0.3 + number / 10, status="stopped")
    return root


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "index.sqlite"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the folders that were read."""
    read: list[str] = []

    def digest(run: Path, before: Digest | None = None) -> Digest:
        read.append(run.name)
        return digest_of(run, before)

    monkeypatch.setattr(module, "digest_of", digest)
    return read


def names(catalogue: Catalogue) -> list[str]:
    return sorted(run.name[-2:] for run in catalogue.look_at_all())


def test_all_runs_are_found_with_their_best_probes(root: Path) -> None:
    (root / "notes").mkdir()
    (root / "file").touch()
    found = Catalogue(root, None).look_at_all()
    assert sorted((run.name[-2:], run.robust) for run in found) == [("r0", 0.3), ("r1", 0.4), ("r2", 0.5)]


def test_what_was_read_is_remembered_and_not_read_again(root: Path, index: Path, reads: list[str]) -> None:
    first = Catalogue(root, index).look_at_all()
    assert len(reads) == 3
    again = Catalogue(root, index)
    assert set(again.known()) == set(first)
    assert set(again.look_at_all()) == set(first)
    assert len(reads) == 3


def test_a_run_that_changed_since_is_read_again_alone(root: Path, index: Path, reads: list[str]) -> None:
    Catalogue(root, index).look_at_all()
    changed = root / "20260102-000000-r1"
    (changed / "status.json").write_text(json.dumps({"status": "failed", "reason": "the disk is full"}))
    found = {run.name[-2:]: run.status for run in Catalogue(root, index).look_at_all()}
    assert found == {"r0": "stopped", "r1": "failed", "r2": "stopped"}
    assert reads[3:] == [changed.name]


def test_a_run_that_is_gone_is_told_and_forgotten(root: Path, index: Path) -> None:
    catalogue = Catalogue(root, index)
    catalogue.look_at_all()
    shutil.rmtree(root / "20260102-000000-r1")
    assert catalogue.look().gone == ("20260102-000000-r1",)
    catalogue.keep()
    assert catalogue_index.remembered(index).keys() == {"20260101-000000-r0", "20260103-000000-r2"}


def test_a_new_run_and_a_note_are_news(root: Path) -> None:
    catalogue = Catalogue(root, None)
    catalogue.look_at_all()
    assert catalogue.look().changed == ()
    old_run(root, "20260104-000000-r3", status="stopped")
    write_labels(root / "20260101-000000-r0", Labels(note="good"))
    changed = {run.name[-2:]: run.digest.labels.note for run in catalogue.look(["20260101-000000-r0"]).changed}
    assert changed == {"r0": "good", "r3": ""}


def test_a_folder_that_becomes_a_run_is_found(root: Path) -> None:
    catalogue = Catalogue(root, None)
    (root / "20260104-000000-r3").mkdir()
    assert names(catalogue) == ["r0", "r1", "r2"]
    (root / "20260104-000000-r3" / "config.toml").touch()
    assert names(catalogue) == ["r0", "r1", "r2", "r3"]


def test_a_live_run_that_loses_its_process_is_news(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = probed_run(root, "20260104-000000-r3", 0.2, status="running")
    lock = "held"
    monkeypatch.setattr("claf_engine.runs.overview.lock_of", lambda _: lock)
    catalogue = Catalogue(root, None)
    assert [each.status for each in catalogue.look_at_all() if each.is_live] == ["running"]
    lock = "free"
    assert [(each.name, each.status) for each in catalogue.look().changed] == [(run.name, "interrupted")]


def damaged(index: Path) -> None:
    index.write_bytes(b"no database" * 1000)


def damaged_within(index: Path) -> None:
    data = bytearray(index.read_bytes())
    data[100:] = b"\x07" * (len(data) - 100)
    index.write_bytes(data)


def of_another_version(index: Path) -> None:
    with sqlite3.connect(index) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def with_foreign_rows(index: Path) -> None:
    with sqlite3.connect(index) as connection:
        connection.execute("UPDATE runs SET digest = '{\"stamps\": 3}'")
        connection.execute("INSERT INTO runs VALUES ('20260109-000000-x', '{\"stamps\": []}')")
    connection.close()


@pytest.mark.parametrize("damage", [damaged, damaged_within, of_another_version, with_foreign_rows])
def test_a_memory_that_cannot_be_believed_costs_time_alone(root: Path, index: Path, damage: object) -> None:
    Catalogue(root, index).look_at_all()
    assert callable(damage)
    damage(index)
    assert names(Catalogue(root, index)) == ["r0", "r1", "r2"]
    assert catalogue_index.remembered(index).keys() >= {"20260101-000000-r0"}


def test_a_memory_that_cannot_be_written_is_said(root: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    catalogue = Catalogue(root, tmp_path / "cache" / "index.sqlite")
    assert names(catalogue) == ["r0", "r1", "r2"]
    old_run(root, "20260104-000000-r3", status="stopped")
    catalogue.look()
    assert "is not kept" in catalogue.keep()


def test_two_consoles_share_a_memory(root: Path, index: Path) -> None:
    one, other = Catalogue(root, index), Catalogue(root, index)
    assert names(one) == names(other) == ["r0", "r1", "r2"]
    assert len(catalogue_index.remembered(index)) == 3


def test_two_folders_of_runs_have_a_memory_each(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAF_CACHE_DIR", str(tmp_path / "cache"))
    assert catalogue_index.index_of(root) != catalogue_index.index_of(tmp_path)
    assert catalogue_index.index_of(root).is_relative_to(tmp_path / "cache")


def test_without_the_folder_there_are_no_runs(tmp_path: Path) -> None:
    assert Catalogue(tmp_path / "none", None).look_at_all() == ()


def test_a_name_that_is_no_utf8_is_listed_and_not_kept(root: Path, index: Path) -> None:
    odd = "20260104-000000-\udcff"
    old_run(root, odd, status="stopped")
    assert odd in {run.name for run in Catalogue(root, index).look_at_all()}
    assert odd not in catalogue_index.remembered(index)
