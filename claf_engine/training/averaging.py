"""The running average of a run's weights: what is measured and kept in their place, where `averaging.decay` is above 0.

After every step the average of what was stepped moves towards it, a <- d a + (1 - d) w, parameters and BatchNorm's
statistics alike (Izmailov et al. 2018 average along the path of training; Rebuffi et al. 2021, section 5, with such a
decay). What an optimiser steps has an average as old as that optimiser: it begins at the weights after the first step,
and forgets faster while it is young, so that short phases are not held to where they began.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import torch
from torch import Tensor, nn

from claf_engine.compute.device import Compute
from claf_engine.config import ModelConfig, RunConfig
from claf_engine.models.network import Network, build_network
from claf_engine.training.state import TrainState, trained_modules

YOUNG = 10
"""Of an average that is t steps old the first (1 + t) / (10 + t) are kept, however large the decay is."""


def decay_at(decay: float, age: int) -> float:
    """The share d of an average that a step keeps.

    Args:
        decay: of an old average, in [0, 1).
        age: steps that it has seen before; 0 begins it anew.
    """
    return min(decay, (1 + age) / (YOUNG + age)) if age else 0.0


@torch.no_grad()
def follow(averages: Iterable[nn.Module], trained: Iterable[nn.Module], decay: float) -> None:
    """Move averages of modules towards them, in place: a <- decay a + (1 - decay) w; counts are copied.

    Args:
        averages: of the same layers as `trained`, in their order.
        trained: what is averaged.
        decay: in [0, 1).
    """
    for average, tensor in zip(_tensors(averages), _tensors(trained), strict=True):
        if average.is_floating_point():
            average.lerp_(tensor, 1 - decay)
        else:
            average.copy_(tensor)


def begin_average(
    network: Network, config: ModelConfig, num_classes: int, compute: Compute, image_size: tuple[int, int] | None
) -> Network:
    """A network on the device that averages another one, and begins as it is.

    It is built anew, because not every model can be copied, and knows nothing of other processes, whose weights, and so
    whose averages, are the same.

    Args:
        network: what is averaged.
        config: of its model.
        num_classes: of its classifiers.
        compute: its device.
        image_size: height and width, see `build_network`.
    """
    average = build_network(config, num_classes, torch.Generator(), image_size)
    compute.place(average)
    average.load_state_dict(network.state_dict())
    return average.requires_grad_(False)


def average_step(state: TrainState, average: Network, optimizer: str, decay: float) -> None:
    """Let the average follow a step that an optimiser took.

    Args:
        state: after the step; how old the average is is kept in its ledger.
        average: of its network.
        optimizer: by its name.
        decay: of an old average, in [0, 1).
    """
    age = state.ledger.averaged.get(optimizer, 0)
    follow(trained_modules(average, optimizer), trained_modules(state.network, optimizer), decay_at(decay, age))
    state.ledger.averaged[optimizer] = age + 1


def averaging_notices(config: RunConfig) -> tuple[str, ...]:
    """What a run must say of the weights that it measures and keeps; nothing where they are those that it trains."""
    if not config.averaging.decay:
        return ()
    return (
        f"what is measured, chosen by and exported is the running average of the weights, decay "
        f"{config.averaging.decay:g}; attacks of training are made on the weights as they are, and memory and "
        "checkpoints hold both",
    )


def _tensors(modules: Iterable[nn.Module]) -> Iterator[Tensor]:
    """Parameters and buffers, each once."""
    for module in modules:
        yield from chain(module.parameters(), module.buffers())
