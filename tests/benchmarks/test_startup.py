import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.common import Measured
from benchmarks.startup import COMMANDS, FRAME, main, prepare_command, ratios_of, seconds_of


def test_ratios_are_over_a_bare_python_and_over_torch() -> None:
    found = ratios_of({"python": 0.1, "help": 0.4, "torch": 2.0, "run": 3.0, FRAME: 1.0})
    assert found == pytest.approx(
        {
            "help_over_python": 4,
            "torch_over_python": 20,
            "run_over_python": 30,
            "first_frame_over_python": 10,
            "run_over_torch": 1.5,
        }
    )


def test_the_first_frame_counts_without_the_end_of_its_process() -> None:
    assert seconds_of(Measured(FRAME, [5.0, 6.0], [1.0, 2.0])) == [1, 2]
    assert seconds_of(Measured("help", [5.0], [None])) == [5]


def test_a_command_that_fails_is_not_timed() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        prepare_command(("-c", "raise SystemExit(3)"))()


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_the_benchmark_writes_seconds_of_every_start(tmp_path: Path) -> None:
    file = tmp_path / "startup.json"
    main(["--repeats", "1", "--json", str(file)])
    found = json.loads(file.read_text())
    assert set(found["seconds"]) == {*COMMANDS, FRAME}
    assert min(found["seconds"].values()) > 0
    assert {"help_over_python", "first_frame_over_python", "run_over_torch"} <= set(found["ratios"])
    assert found["seconds"]["torch"] > found["seconds"]["python"]
