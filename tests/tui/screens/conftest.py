from pathlib import Path

import pytest

from tests.tui.scripted import write_checkpoint


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "20261124-run"
    directory.mkdir()
    (directory / "config.toml").write_text("seed = 7\n")
    for step in (100, 200, 300):
        write_checkpoint(directory, step, natural=0.5 + step / 1000)
    return directory
