import json
from pathlib import Path

import pytest

from claf_engine.runs.labels import LABELS, MAX_NOTE, NO_LABELS, Labels, read_labels, write_labels
from claf_engine.terms.errors import ConfigError, RunError
from tests.engine.runs.folders import old_run
from tests.tui.hostile import EVERYTHING

WRITTEN = Labels("wider, and it helps: größer", ("best", "cifar-10"), True)


def test_what_was_written_about_a_run_is_read_again_and_survives_a_copy(tmp_path: Path) -> None:
    run = old_run(tmp_path, "1-a")
    assert read_labels(run) == (NO_LABELS, "")
    write_labels(run, WRITTEN)
    assert read_labels(run.rename(tmp_path / "copy")) == (WRITTEN, "")


@pytest.mark.parametrize("value", [EVERYTHING, 3, None, [1, {}], {"a": 1}, ["x" * 99, "two words", "\x1b[2J"]])
def test_parts_of_a_wrong_type_are_left_out(tmp_path: Path, value: object) -> None:
    run = old_run(tmp_path, "1-a")
    (run / LABELS).write_text(json.dumps({"note": value, "tags": value, "archived": value}))
    labels, unread = read_labels(run)
    assert (labels.tags, labels.is_archived, unread) == ((), False, "")
    assert isinstance(labels.note, str)


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"note": '])
def test_a_damaged_file_says_so_and_can_be_written_anew(tmp_path: Path, content: bytes) -> None:
    run = old_run(tmp_path, "1-a")
    (run / LABELS).write_bytes(content)
    labels, unread = read_labels(run)
    assert labels == NO_LABELS
    assert LABELS in unread
    write_labels(run, WRITTEN)
    assert read_labels(run) == (WRITTEN, "")


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (Labels(note="x" * (MAX_NOTE + 1)), "a note has at most 2,000 characters"),
        (Labels(note="\ud800"), "holds a character that UTF-8 cannot"),
        (Labels(tags=("two words",)), "'two words' is no tag"),
        (Labels(tags=("!no",)), "'!no' is no tag"),
        (Labels(tags=tuple(f"t{n}" for n in range(17))), "at most 16 tags"),
    ],
)
def test_what_cannot_be_kept_is_refused(tmp_path: Path, labels: Labels, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        write_labels(old_run(tmp_path, "1-a"), labels)
    assert not (tmp_path / "1-a" / LABELS).exists()


def test_a_folder_that_is_gone_is_an_error_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot write .*labels.json"):
        write_labels(tmp_path / "gone", WRITTEN)
