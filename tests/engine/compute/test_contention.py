from pathlib import Path

import pytest

from claf_engine.compute.contention import BUSY, CoreTime, core_time, share_waited
from tests.engine.compute.beside_others import seen


def written(tasks: Path, **schedstat: str) -> Path:
    for task, text in schedstat.items():
        (tasks / task).mkdir()
        (tasks / task / "schedstat").write_text(text)
    return tasks


def test_the_times_of_all_threads_are_summed(tmp_path: Path) -> None:
    tasks = written(tmp_path, one="1500000000 250000000 7\n", other="500000000 750000000 9\n")
    assert core_time(tasks) == CoreTime(2.0, 1.0)


def test_a_thread_that_ends_meanwhile_is_left_out(tmp_path: Path) -> None:
    tasks = written(tmp_path, one="1000000000 0 7\n")
    (tasks / "gone").symlink_to(tasks / "nowhere")
    assert core_time(tasks) == CoreTime(1.0, 0.0)


@pytest.mark.parametrize("text", ["", "12", "a b c"])
def test_a_system_that_does_not_count_says_nothing(tmp_path: Path, text: str) -> None:
    assert core_time(written(tmp_path, one=text)) is None
    assert core_time(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("before", "now", "share"),
    [
        (CoreTime(1, 1), CoreTime(4, 2), 0.25),
        (CoreTime(1, 1), CoreTime(1, 1), None),
        (CoreTime(5, 1), CoreTime(4, 2), 1.0),
        (None, CoreTime(4, 2), None),
        (CoreTime(4, 2), None, None),
    ],
)
def test_the_share_is_of_the_time_in_which_a_core_was_wanted(
    before: CoreTime | None, now: CoreTime | None, share: float | None
) -> None:
    assert share_waited(before, now) == share


@pytest.mark.slow
@pytest.mark.skipif(core_time() is None, reason="this system does not count waiting")
def test_neighbours_on_the_same_core_are_noticed() -> None:
    imports = "from claf_engine.compute.contention import core_time, share_waited"
    alone, shared = seen(imports, "core_time()", "share_waited(before, core_time())")
    assert shared > BUSY
    assert shared > alone
