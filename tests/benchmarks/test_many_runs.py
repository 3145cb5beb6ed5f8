import json
from pathlib import Path

import pytest

from benchmarks.many_runs import AGAIN, FIRST, KEY, OPENED, SHELL, main


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_a_few_runs_are_listed_filtered_and_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "runs.json"
    main(["--runs", "30", "--steps", "500", "--idle", "0.5", "--repeats", "1", "--json", str(file)])
    told = json.loads(file.read_text())
    assert all(told[name]["clock"] > 0 and told[name]["cpu"] > 0 for name in (FIRST, AGAIN, KEY, OPENED))
    assert 0 < told["idle_share"] < 1
    assert len(told[SHELL]) == 1
    assert told[SHELL][0] > 0
    assert "30 runs, 140x45; one of 500 steps" in capsys.readouterr().out
