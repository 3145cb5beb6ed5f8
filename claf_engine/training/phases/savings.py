"""What stage 2 remembers to save work. Where the settings ask for it, that changes the method; one saving is exact.

`adversarial.classifier_refresh = "replay"` keeps the features of attacked images, and later retraining passes need
neither attack nor encoder. `attack.warm_start` keeps the perturbation of every image, and the next attack on it goes on
from there. Both are part of the state, so that a resumed run goes on with them.
"""

import torch
from torch import Tensor

from claf_engine.attacks.norms import TINY
from claf_engine.compute.seeding import ATTACK_STREAM
from claf_engine.config import AdversarialConfig
from claf_engine.training.costs import is_replayed
from claf_engine.training.session import Session

LEVELS = 127
"""Steps of a kept perturbation between 0 and epsilon."""


def will_be_replayed(config: AdversarialConfig, sweep: int) -> bool:
    """Whether the sweep after this one takes the features that are kept now."""
    return sweep + 1 < config.classifier_epochs and is_replayed(config, sweep + 1)


def keep_features(session: Session, rows: Tensor, features: Tensor) -> None:
    """Keep features (B, D) of attacked images, if the next sweep will replay them.

    Args:
        session: where they are kept.
        rows: (B,) training rows of the images.
        features: in fp32.
    """
    state = session.state
    if not will_be_replayed(session.config.adversarial, state.cursor.sweep):
        return
    if state.features is None:
        state.features = features.new_zeros(len(session.data.train), features.shape[1])
    rows, features = session.part.gather(rows), session.part.gather(features)
    state.features[rows.to(features.device, non_blocking=True)] = features


def kept_features(session: Session, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Features (B, D) that were kept, and labels (B,), of training rows (B,)."""
    features = session.state.features
    assert features is not None, "kept by the sweep that crafted"
    rows = rows.to(features.device, non_blocking=True)
    return features[rows], session.data.train.labels[rows]


def drop_features(session: Session) -> None:
    """At the end of a sweep: forget the features, unless the next one will replay them."""
    if not will_be_replayed(session.config.adversarial, session.state.cursor.sweep):
        session.state.features = None


def prepare_perturbations(session: Session) -> None:
    """Draw the first start of every image, where attacks start warm and the phase has just begun.

    Without `attack.random_start` the first attack begins at the image itself.
    """
    state, config = session.state, session.config.attack
    if not config.warm_start or state.perturbations is not None:
        return
    shape, device = session.data.train.images.shape, session.compute.device
    stream = state.generators[ATTACK_STREAM]
    if config.random_start:
        drawn = torch.randint(-LEVELS, LEVELS + 1, shape, generator=stream, dtype=torch.int8, device=device)
    else:
        drawn = torch.zeros(shape, dtype=torch.int8, device=device)
    state.perturbations = drawn


def warm_point(session: Session, rows: Tensor, images: Tensor) -> Tensor | None:
    """Where the attack on images (B, C, H, W) begins, up to rounding; None where it begins at its usual start.

    Args:
        session: where perturbations are kept.
        rows: (B,) training rows of the images.
        images: in [0, 1].
    """
    kept = session.state.perturbations
    if kept is None:
        return None
    return images + kept[rows.to(kept.device, non_blocking=True)].float() * _level(session)


def keep_perturbations(session: Session, rows: Tensor, moved: Tensor) -> None:
    """Keep what an attack added to its images, where attacks start warm.

    Args:
        session: where perturbations are kept.
        rows: (B,) training rows of the images.
        moved: (B, C, H, W) attacked minus original images.
    """
    kept = session.state.perturbations
    if kept is not None:
        levels = (moved / max(_level(session), TINY)).round().clamp(-LEVELS, LEVELS)
        rows, levels = session.part.gather(rows), session.part.gather(levels.to(torch.int8))
        kept[rows.to(kept.device, non_blocking=True)] = levels


def _level(session: Session) -> float:
    return float(session.config.attack.epsilon) / LEVELS
