import json
from pathlib import Path

import pytest

from benchmarks.charts import main


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_a_small_run_is_opened_zoomed_and_timed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "charts.json"
    main(["--steps", "3000", "--keys", "20", "--json", str(file)])
    told = json.loads(file.read_text())
    assert told["keys"] == 20
    assert all(told[name] > 0 for name in ("open_seconds", "read_seconds", "key_p99_seconds"))
    assert "all keys, p99" in capsys.readouterr().out
