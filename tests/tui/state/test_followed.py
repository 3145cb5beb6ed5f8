from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.runs.journal import METRICS, Journal
from claf_engine.terms.errors import ForeignFileError
from claf_tui.state import LossKey
from claf_tui.state.followed import FollowedRun


def step(number: int) -> ev.StepLogged:
    return ev.StepLogged(number, 0, 1, "encoder", "supcon", 1.0 * number, 0.1, None, 1.0 * number)


def logged(folder: Path, *steps: int, keep: int | None = None) -> None:
    journal = Journal(folder)
    journal.open(keep=keep)
    for number in steps:
        journal.append(step(number))
    journal.close()


def test_what_is_added_is_folded_onto_what_was_there(tmp_path: Path) -> None:
    logged(tmp_path, 1, 2)
    followed = FollowedRun(tmp_path)
    assert followed.look()
    assert not followed.look()
    logged(tmp_path, 3)
    assert followed.look()
    series = followed.state.losses[LossKey("supcon", 0)]
    assert [point.x for point in series.points] == [1, 2, 3]


def test_a_journal_that_lost_its_end_is_read_anew(tmp_path: Path) -> None:
    logged(tmp_path, 1, 2, 3)
    followed = FollowedRun(tmp_path)
    followed.look()
    logged(tmp_path, 9, keep=1)
    assert followed.look()
    assert [point.x for point in followed.state.losses[LossKey("supcon", 0)].points] == [1, 9]


def test_lines_that_tell_nothing_are_counted(tmp_path: Path) -> None:
    logged(tmp_path, 1)
    with (tmp_path / METRICS).open("a") as file:
        file.write("no record\n")
    followed = FollowedRun(tmp_path)
    followed.look()
    assert followed.num_damaged == 1


def test_a_journal_that_is_no_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / METRICS).mkdir()
    with pytest.raises(ForeignFileError, match=METRICS):
        FollowedRun(tmp_path)
