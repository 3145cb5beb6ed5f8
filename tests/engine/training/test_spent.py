from pathlib import Path

import pytest

from claf_engine.config import RunConfig
from claf_engine.runs.folder import settings_text
from claf_engine.training.methods import units_of_epochs, units_per_image
from claf_engine.training.spent import epoch_units


def test_the_units_of_all_epochs_are_those_of_the_run(tmp_path: Path) -> None:
    config = RunConfig(method="at")
    (tmp_path / "config.toml").write_text(settings_text(config))
    (each,) = epoch_units(tmp_path)
    assert each * config.supervised.epochs == units_per_image(config)
    assert len(units_of_epochs(RunConfig(method="claf"))) == 3


@pytest.mark.parametrize("settings", ["", 'method = "of-a-plugin"\n', "method = [", "batch_size = 0\n"])
def test_where_the_settings_cannot_be_read_nothing_is_known(tmp_path: Path, settings: str) -> None:
    if settings:
        (tmp_path / "config.toml").write_text(settings)
    assert epoch_units(tmp_path) == ()
