import json
import time
from pathlib import Path

import pytest

from benchmarks.common import Measured, Side, Work, alternate, parser, show, write


def noting(name: str, path: Path, seconds: float) -> Work:
    """A side that writes down each of its turns, takes so long, and gives their number."""
    turns = 0

    def work() -> int:
        nonlocal turns
        turns += 1
        time.sleep(seconds)
        with path.open("a") as file:
            file.write(f"{name} ")
        return turns

    return work


def failing_at_work() -> Work:
    def work() -> None:
        raise ValueError("no luck")

    return work


def failing_to_prepare() -> Work:
    raise ValueError("nothing to begin with")


@pytest.mark.slow
def test_sides_warm_up_once_and_take_turns_in_a_turning_order_and_the_seconds_are_those_of_the_work(
    tmp_path: Path,
) -> None:
    path, sleeps = tmp_path / "turns.txt", {"a": 1.0, "b": 0.0, "c": 0.0}
    found = alternate([Side(name, noting, (name, path, seconds)) for name, seconds in sleeps.items()], repeats=3)
    assert path.read_text().split() == [*"abc", *"abc", *"bca", *"cab"]
    assert [side.name for side in found] == [*"abc"]
    assert [side.returned for side in found] == [[2, 3, 4]] * 3, "the warm-up is not reported"
    slow, *fast = found
    assert len(slow.seconds) == 3
    assert min(slow.seconds) >= 1.0 > max(fast[0].seconds + fast[1].seconds)


@pytest.mark.slow
def test_a_side_that_fails_at_work_fails_the_comparison(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="a side of the comparison failed"):
        alternate([Side("broken", failing_at_work)], repeats=1)
    assert "no luck" in capfd.readouterr().err


@pytest.mark.slow
def test_a_side_that_fails_to_prepare_fails_the_comparison(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="a side of the comparison failed"):
        alternate([Side("broken", failing_to_prepare)], repeats=1)
    assert "nothing to begin with" in capfd.readouterr().err


@pytest.mark.parametrize(("seconds", "median"), [([3.0, 1.0, 100.0], 3.0), ([1.0, 2.0], 1.5)])
def test_a_side_is_known_by_the_median_of_its_seconds(seconds: list[float], median: float) -> None:
    side = Measured("side", seconds)
    assert side.median == median
    assert side.plain() == {"median_seconds": median, "seconds": seconds}


def test_figures_are_written_beside_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    write(path, {"ratios": {"theirs": 2.5}})
    found = json.loads(path.read_text())
    assert found["ratios"] == {"theirs": 2.5}
    assert "cores; torch " in found["machine"]


def test_without_a_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(None, {"ratios": {}})
    assert not list(tmp_path.iterdir())


def test_a_table_stands_over_the_line_of_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    show("Title of it", ("side", "seconds"), [("ours", "1.5")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Title of it")
    assert any("ours" in line and "1.5" in line for line in lines)
    assert "cores; torch" in " ".join(word for line in lines[-5:] for word in line.split())


def test_five_repetitions_on_the_cpu_are_the_default() -> None:
    flags = parser("what it asks").parse_args([])
    assert (flags.repeats, flags.device, flags.json) == (5, "cpu", None)
