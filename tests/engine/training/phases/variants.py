"""Stage 2 with each of its savings, on 20 tiny images."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from claf_engine.config import RunConfig
from claf_engine.events.ticks import Boundary, PartEnd, Pulse, Tick
from claf_engine.training.checkpoint import state_tensors
from claf_engine.training.phases.adversarial import adversarial
from claf_engine.training.session import Session
from tests.engine.tiny import tiny_config, tiny_data, tiny_session

REPLAY = {"adversarial__classifier_refresh": "replay", "adversarial__replay_passes": 2}
FRACTION = {"adversarial__classifier_fraction": 0.5}
WARM = {"attack__warm_start": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "exact": {},
    "replay": REPLAY,
    "replay once an epoch": {**REPLAY, "adversarial__replay_passes": 5},
    "fraction": FRACTION,
    "warm start": WARM,
    "all": {**REPLAY, **FRACTION, **WARM},
}


def config_of(variant: str, **changes: Any) -> RunConfig:
    """Three passes of retraining over three batches, the last of them smaller."""
    return tiny_config(**{"adversarial__classifier_epochs": 3} | VARIANTS[variant] | changes)


def session_of(variant: str, num_train: int = 20, **changes: Any) -> Session:
    return tiny_session(config_of(variant, **changes), tiny_data(num_train))


def losses(session: Session) -> list[tuple[str, float]]:
    """The loss of every step of stage 2, with the name of its part."""
    return [(tick.part, float(tick.loss)) for tick in adversarial(session) if isinstance(tick, Boundary)]


def parts(session: Session) -> list[str]:
    return [part for part, _ in losses(session)]


def measured_for_nothing(*_: object) -> Generator[Pulse, None, float]:
    """In place of a measurement, where a test asks for none."""
    yield from ()
    return 0.5


def kept(session: Session) -> Iterator[tuple[Tick, set[str]]]:
    """Every consistent place of stage 2, and which tensors are kept there."""
    for tick in adversarial(session):
        if isinstance(tick, Boundary | PartEnd):
            yield tick, state_tensors(session.state).keys() & {"features", "perturbations"}


@dataclass(frozen=True)
class Crafted:
    """One attack of stage 2: its images, where it was told to begin, and where it ended."""

    images: Tensor
    begin: Tensor | None
    ended: Tensor
