from pathlib import Path

import pytest

from claf_engine.config import RunConfig
from claf_engine.runs.folder import settings_text
from claf_engine.training.methods import phases_of, units_per_image
from claf_engine.training.spent import epoch_units


def test_the_units_of_all_epochs_are_those_of_the_run(tmp_path: Path) -> None:
    config = RunConfig(method="rocl")
    (tmp_path / "config.toml").write_text(settings_text(config))
    epochs = [phase.epochs for phase in phases_of(config)]
    units = zip(epochs, epoch_units(tmp_path), strict=True)
    assert sum(number * each for number, each in units) == units_per_image(config)


@pytest.mark.parametrize("settings", ["", 'method = "of-a-plugin"\n', "method = [", "batch_size = 0\n"])
def test_where_the_settings_cannot_be_read_nothing_is_known(tmp_path: Path, settings: str) -> None:
    if settings:
        (tmp_path / "config.toml").write_text(settings)
    assert epoch_units(tmp_path) == ()
