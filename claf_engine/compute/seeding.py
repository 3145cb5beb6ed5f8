"""Randomness: one generator per purpose, all grown from the run's seed; nobody touches the global state.

The four training generators are part of `TrainState` and are saved with it. Measurements (probes, retrain accuracy,
evaluation) draw from throw-away generators of a fixed seed instead, so that looking at a run never changes it.
"""

import hashlib
from collections.abc import Mapping

import torch

from claf_engine.compute.device import make_generator

ORDER = "order"
VIEWS = "views"
ATTACK_STREAM = "attack"
INIT = "init"


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed in [0, 2^63) for one purpose; different purposes give unrelated streams."""
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def training_generators(seed: int, device: torch.device) -> dict[str, torch.Generator]:
    """The generators of a run: order and init on the CPU (the same on every device), views and attack on `device`."""
    cpu = torch.device("cpu")
    places = {ORDER: cpu, INIT: cpu, VIEWS: device, ATTACK_STREAM: device}
    return {purpose: make_generator(place, derive_seed(seed, purpose)) for purpose, place in places.items()}


def measurement_generator(seed: int, purpose: str, device: torch.device) -> torch.Generator:
    """A throw-away generator: the same draws at every measurement, and none taken from training."""
    return make_generator(device, derive_seed(seed, "measure", purpose))


def generator_states(generators: Mapping[str, torch.Generator]) -> dict[str, torch.Tensor]:
    """States as byte tensors on the CPU, for a checkpoint."""
    return {purpose: generator.get_state() for purpose, generator in generators.items()}


def continue_stream(generator: torch.Generator, saved: torch.Tensor, other_seed: int) -> None:
    """Go on with a saved stream; where it was drawn on another kind of device, begin one from another seed."""
    if len(saved) == len(generator.get_state()):
        generator.set_state(saved)
    else:
        generator.manual_seed(other_seed)
