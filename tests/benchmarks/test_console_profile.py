import cProfile
import json
from pathlib import Path

import pytest

from benchmarks.console_profile import functions_of, main
from claf_tui.words import figures


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_the_console_s_share_of_a_core_and_its_functions_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "profile.json"
    main(["--seconds", "2", "--json", str(file)])
    told = json.loads(file.read_text())
    assert 0 < told["share_of_a_core"] < 1
    assert any("claf_tui/" in name for name, _ in told["functions"])
    assert "of a core" in capsys.readouterr().out


def test_only_functions_of_ours_and_of_textual_are_named() -> None:
    profile = cProfile.Profile()
    profile.runcall(lambda: [json.dumps(figures.duration(second)) for second in range(2000)])
    (row,) = [row for row in functions_of(profile) if "duration" in row[0]]
    assert row[0] == "claf_tui/words/figures.py: duration"
    assert not any("json" in name for name, _ in functions_of(profile))
