"""What the epochs of a run cost, from the settings in its folder. No torch, but for a method that a plugin adds."""

from pathlib import Path

from claf_engine.runs import read_config
from claf_engine.terms.errors import ConfigError, RunError
from claf_engine.training.costs import LOOPS, units_of_epoch


def epoch_units(directory: Path) -> tuple[float, ...]:
    """Forward-units that an epoch of each phase spends on a training image (see `units_per_image`).

    Returns:
        Nothing where the settings cannot be read, or need a plugin that is not loaded.
    """
    try:
        config = read_config(directory)
        if config.method in LOOPS:
            return tuple(units_of_epoch(loops.parts) for loops in LOOPS[config.method](config) if loops.epochs)
        from claf_engine.training.methods import phases_of  # loads torch, as the plugin that is loaded has done

        return tuple(phase.units_per_epoch for phase in phases_of(config))
    except (RunError, ConfigError):
        return ()
