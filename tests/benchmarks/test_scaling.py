import json
from pathlib import Path

import pytest

from benchmarks.scaling import Figures, base_of, exponent, exponents_of, main, peak_resident_bytes


def figures(value: int, seconds: float, memory: int) -> Figures:
    return Figures(value, seconds, None, 10 * memory, memory)


def test_the_exponent_of_a_power_is_its_power() -> None:
    assert exponent([2, 4, 8], [3 * value**1.5 for value in (2, 4, 8)]) == pytest.approx(1.5)


def test_what_does_not_grow_has_the_exponent_zero() -> None:
    assert exponent([2, 4, 8], [7, 7, 7]) == pytest.approx(0)


def test_there_is_no_exponent_of_what_is_not_positive() -> None:
    assert exponent([2, 4], [1, 0]) is None


def test_time_that_passes_without_steps_does_not_bend_the_exponent_of_steps() -> None:
    points = [figures(steps, 5 + 2 * steps, 100) for steps in (0, 2, 4, 8)]
    found = exponents_of(points)
    assert (found["time"], found["memory"]) == (pytest.approx(1), pytest.approx(0))


def test_what_stands_still_stands_at_the_second_value_of_its_list() -> None:
    base = base_of({"images": [1, 2, 3], "batch": [4], "steps": [5, 6], "width": [7, 8]})
    assert (base.images, base.batch, base.steps, base.width) == (2, 4, 6, 8)


def test_peak_memory_sees_memory_that_was_given_back() -> None:
    before = peak_resident_bytes()
    size = 64 * 2**20 + before  # more than the process ever had, so that the peak must move
    held = bytearray(size)
    held[::4096] = b"x" * len(held[::4096])
    del held
    assert peak_resident_bytes() >= before + 32 * 2**20


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_the_benchmark_writes_exponents_of_the_axes_that_vary(tmp_path: Path) -> None:
    file = tmp_path / "scaling.json"
    axes = ["--images", "64", "--batch", "4", "64", "--steps", "1", "2", "--width", "4"]
    main([*axes, "--precision", "fp32", "--repeats", "1", "--json", str(file)])
    found = json.loads(file.read_text())
    assert set(found["exponents"]) == set(found["points"]) == {"batch", "steps"}
    assert [point["value"] for point in found["points"]["steps"]] == [0, 1, 2]
    points = found["points"]["batch"] + found["points"]["steps"]
    assert all(min(point["seconds"], point["added_bytes"]) > 0 for point in points)
    assert all(point["peak_bytes"] > point["added_bytes"] for point in points)
    assert points[0]["added_bytes"] < points[1]["added_bytes"], "a larger batch takes more memory"
