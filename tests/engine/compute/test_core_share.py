import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claf_engine.compute import core_share
from claf_engine.compute.contention import CoreTime
from claf_engine.compute.core_share import (
    PATIENCE_TO_GROW,
    PATIENCE_TO_SHRINK,
    CoreShare,
    Load,
    Reading,
    idle_seconds,
    load_between,
    read,
)
from tests.engine.compute.beside_others import seen

CORE = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


def load(free: float) -> Load:
    return Load(2.0, free, 0.0)


def after(share: CoreShare, *free: float) -> list[int]:
    return [share.take(load(each)) for each in free]


def test_fewer_threads_are_taken_once_others_have_stayed() -> None:
    share = CoreShare(2, 2)
    assert after(share, 1.3, 2.0, 1.3, 1.3) == [2, 2, 2, 1], "a moment's load changes nothing"


def test_more_threads_are_taken_once_cores_have_stayed_free() -> None:
    share = CoreShare(1, 4)
    assert after(share, *[3.9] * (PATIENCE_TO_GROW - 1)) == [1] * (PATIENCE_TO_GROW - 1)
    assert after(share, 2.9) == [3], "as many as were free all the time"
    assert after(share, *[3.9] * (PATIENCE_TO_GROW - 1), 3.0) == [3] * PATIENCE_TO_GROW


def test_alone_threads_stay_as_they_are() -> None:
    assert set(after(CoreShare(2, 2), *[1.85, 1.95, 2.0, 2.1] * 5)) == {2}


@given(st.integers(1, 64), st.integers(1, 64), st.lists(st.floats(0, 100), max_size=40))
def test_there_is_always_a_thread_and_never_more_than_the_most(begun: int, most: int, free: list[float]) -> None:
    share = CoreShare(begun, most)
    found = after(share, *free)
    assert all(1 <= each <= max(begun, most) for each in found)
    assert after(share, *[float(most)] * 2 * (PATIENCE_TO_GROW + PATIENCE_TO_SHRINK))[-1] == most


@given(st.integers(2, 64), st.floats(0, 64))
def test_a_steady_load_is_answered_at_most_once(most: int, free: float) -> None:
    found = [most, *after(CoreShare(most, most), *[free] * 30)]
    assert sum(before != now for before, now in zip(found, found[1:], strict=False)) <= 1


def stat(folder: Path, text: str) -> Path:
    file = folder / "stat"
    file.write_text(text)
    return file


def test_idle_time_is_that_of_the_cores_that_may_be_used(tmp_path: Path) -> None:
    others = f"cpu{CORE + 1000} 0 0 0 9999 9999 0 0 0 0 0\n"
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CORE})
    try:
        found = idle_seconds(stat(tmp_path, f"cpu 1 1 1 1 1\ncpu{CORE} 5 0 5 300 40 0 1 0 0 0\n{others}intr 1 2\n"))
    finally:
        os.sched_setaffinity(0, before)
    assert found == pytest.approx(340 / core_share.TICKS)


@pytest.mark.parametrize("text", ["", "cpu0\n", "cpux 1 2 3 4 5\n", "cpu 1 2 3 4 5\n"])
def test_a_system_that_does_not_count_says_nothing(tmp_path: Path, text: str) -> None:
    assert idle_seconds(stat(tmp_path, text)) is None
    assert idle_seconds(tmp_path / "none") is None


def test_without_what_the_process_spent_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_share, "core_time", lambda: None)
    assert read() is None
    monkeypatch.setattr(core_share, "core_time", lambda: CoreTime(1.0, 2.0))
    found = read()
    assert found is not None
    assert found.ran == 1.0


def test_a_load_is_in_cores() -> None:
    found = load_between(Reading(10.0, 1.0, 100.0), Reading(12.0, 4.0, 100.4))
    assert found is not None
    assert (found.seconds, found.had) == (2.0, 1.5)
    assert found.free == pytest.approx(1.7)


def test_a_load_needs_two_moments() -> None:
    moment = Reading(10.0, 1.0, 100.0)
    assert load_between(None, moment) is None
    assert load_between(moment, None) is None
    assert load_between(moment, moment) is None


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no cores of a process")
def test_of_one_core_beside_three_busy_processes_a_quarter_is_free() -> None:
    imports = "from claf_engine.compute.core_share import load_between, read"
    alone, shared = seen(imports, "read()", "load_between(before, read()).free")
    resting, _ = seen(imports, "read()", "load_between(before, read()).had", doing="time.sleep(0.1)")
    assert shared < 0.6, "the fault: others have the core"
    assert alone <= 1.1
    assert resting < 0.3
    assert shared < alone
