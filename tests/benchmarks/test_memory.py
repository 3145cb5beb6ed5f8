import json
from pathlib import Path

import pytest

from benchmarks.memory import RECOMPUTED, WHOLE, main


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_a_small_step_tells_memory_and_time_of_every_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "memory.json"
    sizes = ["--batch", "64", "--width", "8", "--steps", "1", "--micro-batch", "16"]
    main([*sizes, "--repeats", "1", "--json", str(file)])
    ratios = json.loads(file.read_text())["ratios"]
    ways = (WHOLE, RECOMPUTED, "micro-batch 16")
    assert set(ratios) == {f"{what}_{way}" for what in ("memory", "time") for way in ways}
    assert ratios[f"memory_{WHOLE}"] == ratios[f"time_{WHOLE}"] == 1
    assert ratios["memory_micro-batch 16"] < 1
    assert "micro-batch 16" in capsys.readouterr().out
