"""Epochs for which every method costs the same arithmetic.

A budget is in forward-units an image, as `training.methods.units_per_image` counts them. What is fitted on a frozen
encoder keeps its epochs; the epochs of all other phases are scaled in proportion, and what rounding leaves buys whole
epochs of the cheapest of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from claf_engine.config import RunConfig
from claf_engine.config.presets import Override
from claf_engine.terms.errors import ConfigError
from claf_engine.training.methods import phases_of
from claf_engine.training.phase import Phase

EQUAL = "--compute equal"
EPOCHS = {"instance": "rocl.epochs", "adversarial_contrastive": "acl.epochs", "two_encoders": "supervised.epochs"}
"""The setting that a phase takes its epochs from, where it is not called after the phase."""
ROUNDING = 1e-9
"""Share of a budget by which sums of floats may differ."""


@dataclass(frozen=True)
class Share:
    """What a phase takes of a run: its own epochs, and the units an image that one of them costs."""

    epochs: int
    units: float


def equal_epochs(config: RunConfig, budget: float) -> list[Override]:
    """The epochs under which a run costs at most a budget, and less than one epoch of its cheapest phase below it.

    Args:
        config: the run with its own epochs.
        budget: in forward-units an image.

    Raises:
        ConfigError: the budget does not suffice for one epoch of each phase, or a plugin's phase takes its epochs from
            elsewhere.
    """
    phases = phases_of(config)
    trained = [phase for phase in phases if not phase.is_frozen]
    heads = sum(phase.epochs * phase.units_per_epoch for phase in phases if phase.is_frozen)
    shares = [Share(phase.epochs, phase.units_per_epoch) for phase in trained]
    return [
        Override(_epochs_key(config, phase), epochs, EQUAL)
        for phase, epochs in zip(trained, epochs_within(budget - heads, shares), strict=True)
    ]


def epochs_within(budget: float, shares: Sequence[Share]) -> tuple[int, ...]:
    """Scale epochs to a budget: each rounded down or up, whichever together cost most and not more than it.

    Raises:
        ConfigError: the budget does not suffice for one epoch of each.
    """
    room = budget * (1 + ROUNDING)
    if sum(share.units for share in shares) > room:
        least = math.ceil(sum(share.units for share in shares))
        raise ConfigError(f"{EQUAL}: one epoch of each phase costs {least} units an image, and {budget:g} are left")
    factor = budget / sum(share.epochs * share.units for share in shares)
    exact = [share.epochs * factor for share in shares]
    options = product(*({max(1, math.floor(epochs)), max(1, math.ceil(epochs))} for epochs in exact))
    ones = (1,) * len(shares)
    best = max(
        (ones, *(found for found in options if _cost(found, shares) <= room)), key=lambda each: _cost(each, shares)
    )
    cheapest = min(range(len(shares)), key=lambda index: shares[index].units)
    more = int((room - _cost(best, shares)) / shares[cheapest].units)
    return tuple(epochs + more * (index == cheapest) for index, epochs in enumerate(best))


def _cost(epochs: Sequence[int], shares: Sequence[Share]) -> float:
    return sum(number * share.units for number, share in zip(epochs, shares, strict=True))


def _epochs_key(config: RunConfig, phase: Phase) -> str:
    """The dotted key of a phase's epochs."""
    key = EPOCHS.get(phase.name, f"{phase.name}.epochs")
    section, _, name = key.partition(".")
    if getattr(getattr(config, section, None), name, None) != phase.epochs:
        raise ConfigError(f"{EQUAL}: it is not known which setting gives phase {phase.name!r} its epochs; leave it out")
    return key
