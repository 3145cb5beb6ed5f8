from pathlib import Path

from claf_engine.events import Notice
from claf_engine.runs import create_run
from claf_engine.runs.onlooker import NoJournal, Onlooker
from tests.engine.tiny import tiny_config


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_onlooker_leaves_the_run_of_another_process_as_it_is(tmp_path: Path) -> None:
    directory = create_run(tmp_path, "run", tiny_config(), [])
    before = contents(tmp_path)
    onlooker = Onlooker(directory.path, directory.config)
    onlooker.write_status({"status": "running"})
    onlooker.note({"data": 1})
    onlooker.settle(tiny_config(seed=1))
    onlooker.take_over(directory.path / "config.toml")
    onlooker.discard()
    onlooker.close()
    assert not onlooker.find_again()
    assert onlooker.config.seed == 1
    assert contents(tmp_path) == before
    directory.close()


def test_what_is_written_into_no_journal_is_dropped(tmp_path: Path) -> None:
    journal = NoJournal()
    assert journal.is_open
    assert (journal.open(keep=3), journal.set_aside()) == (0, ())
    journal.append(Notice("info", "said", 0))
    journal.sync()
    journal.close()
    assert contents(tmp_path) == {}
