"""What the epochs of a run cost, from the settings in its folder."""

from pathlib import Path

from claf_engine.runs import read_config
from claf_engine.terms.errors import ConfigError, RunError
from claf_engine.training.methods import units_of_epochs


def epoch_units(directory: Path) -> tuple[float, ...]:
    """Forward-units that an epoch of each phase spends on a training image (see `units_per_image`).

    Returns:
        Nothing where the settings cannot be read, or need a plugin that is not loaded.
    """
    try:
        return units_of_epochs(read_config(directory))
    except (RunError, ConfigError):
        return ()
