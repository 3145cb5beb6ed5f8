from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine.config import DataConfig, RunConfig
from claf_engine.runs import RunDirectory, create_run

CONFIG = RunConfig(seed=7, data=DataConfig(num_train=100))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    """A run directory that this process owns."""
    directory = create_run(tmp_path, "demo", CONFIG, ["claf-tui", "train"])
    yield directory
    directory.close()
