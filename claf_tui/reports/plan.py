"""What a run is about to do, in lines."""

from collections.abc import Iterator

from claf_engine.config import RunConfig
from claf_engine.config.acl import batch_norm_notices
from claf_tui.words import figures


def plan_lines(config: RunConfig) -> Iterator[str]:
    """The phases of a run with their epochs and what an epoch costs in forward-units. Torch is loaded here.

    Raises:
        ConfigError: the method cannot be trained with these settings.
    """
    from claf_engine.training.averaging import averaging_notices
    from claf_engine.training.methods import phases_of
    from claf_engine.training.partner import measured_encoder_notices

    for number, phase in enumerate(phases_of(config), 1):
        units = f"{phase.units_per_epoch:.4g} forward-units an image"
        yield f"phase {number}: {phase.title}, {figures.count(phase.epochs)} epochs of {units}"
    yield from averaging_notices(config)
    yield from batch_norm_notices(config.method, config.acl)
    yield from measured_encoder_notices(config)
