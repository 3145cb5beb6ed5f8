import json
from pathlib import Path

import psutil
import pytest

from benchmarks.common import Measured
from benchmarks.neighbours import AS_IT_IS, main, neighbours, ratios_of


def test_fair_is_what_so_many_threads_get_of_the_cores() -> None:
    alone = [Measured(AS_IT_IS, [10.0]), Measured("1 thread", [12.5])]
    beside_four = [Measured(AS_IT_IS, [60.0]), Measured("1 thread", [30.0])]
    found = ratios_of({0: alone, 4: beside_four}, cores=2)
    assert found == pytest.approx({"as_it_is_alone": 1.0, "1_thread_alone": 0.8, "as_it_is_4": 0.5, "1_thread_4": 1.0})


def test_neighbours_keep_cores_busy_and_are_gone_afterwards() -> None:
    me = psutil.Process()
    before = set(me.children())
    with neighbours(2):
        spinning = [
            child for child in me.children() if child not in before and "spawn_main" in " ".join(child.cmdline())
        ]
        assert len(spinning) == 2
        while not all(sum(child.cpu_times()[:2]) > 0.05 for child in spinning):
            spinning[0].cpu_percent(0.05)
    assert not any(child.is_running() for child in spinning)


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_the_benchmark_writes_a_ratio_of_each_side_and_number(tmp_path: Path) -> None:
    file = tmp_path / "neighbours.json"
    size = ["--preset", "smoke", "--images", "64", "--repeats", "1", "--neighbours", "1", "--threads", "1"]
    main([*size, "--json", str(file)])
    ratios = json.loads(file.read_text())["ratios"]
    assert set(ratios) == {"as_it_is_alone", "1_thread_alone", "as_it_is_1", "1_thread_1"}
