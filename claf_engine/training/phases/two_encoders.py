"""Two encoders, one that sees natural and one that sees attacked images, and the contrast between their projections.

Reference [28] of the paper, as its section 2 tells it; `docs/related/two-encoders.md` says what is known of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from claf_engine.attacks import from_config
from claf_engine.events.ticks import PartEnd, Tick
from claf_engine.models.modes import evaluating, training
from claf_engine.models.network import Pipeline
from claf_engine.training.losses import nt_xent_loss, supcon_loss
from claf_engine.training.partner import PARTNER, Partner, measured_classifier
from claf_engine.training.phases.objectives import craft, crafting_target
from claf_engine.training.phases.supervised import viewed_batch
from claf_engine.training.phases.terms import Shown, cross_entropy, trained_pass
from claf_engine.training.session import Session
from claf_engine.training.state import FEATURES, joint_optimizer


@dataclass(frozen=True)
class Side:
    """One of the two encoders: with its classifier, and what projects its features."""

    pipeline: Pipeline
    head: nn.Module


@dataclass(frozen=True)
class Sides:
    """Both, by the images that they are trained on."""

    clean: Side
    attacked: Side


def two_encoders(session: Session) -> Iterator[Tick]:
    """Train both encoders on every image and its attacked copy, or the attacked one alone, epoch after epoch.

    The attack is on the encoder that sees attacked images and on its classifier.
    """
    session.drop_optimizer(FEATURES)
    config, cursor = session.config, session.state.cursor
    epochs, sides = config.supervised.epochs, sides_of(session)
    optimizer = joint_optimizer(measured_classifier(config), with_head=True, companion=PARTNER)
    target = crafting_target(session, sides.attacked.pipeline)
    while cursor.epoch < epochs:
        for rows in session.batches():
            images, labels = viewed_batch(session, rows)
            attacked = yield from craft(session, target, (images, labels), from_config(config.attack, config.model))
            loss_of = partial(two_encoders_loss, session, sides, Shown(images, labels, attacked, None))
            schedule = cursor.epoch * session.steps_per_sweep + cursor.batch, epochs * session.steps_per_sweep
            taken = session.minimise(optimizer, loss_of, session.progress(epochs), schedule)
            yield session.finish_step("encoders", "two_encoders", *taken, session.part.total)
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)
    session.drop_optimizer(optimizer)


def sides_of(session: Session) -> Sides:
    """The two encoders: the measured one is the network's, the other one the partner's.

    A partner that is new has weights of its own, unless the clean encoder was trained before, or both are to begin
    with the weights of a file.
    """
    config, network = session.config, session.state.network
    classifier = measured_classifier(config)
    is_new = PARTNER not in session.state.companions
    partner = session.companion(PARTNER)
    assert isinstance(partner, Partner)
    if is_new and (config.two_encoders.training == "separate" or config.model.weights is not None):
        partner.begin_as(network, classifier)
    measured = Side(network.with_classifier(classifier), network.projection_head)
    other = Side(partner.pipeline, partner.head)
    return Sides(other, measured) if config.two_encoders.measured == "attacked" else Sides(measured, other)


def two_encoders_loss(session: Session, sides: Sides, shown: Shown) -> Tensor:
    """Cross-entropy of either encoder on its images, and the contrast between their projections.

    In separate training the clean encoder stands still, in eval mode, and has no cross-entropy; its head still learns.

    Args:
        session: settings, and the batch.
        sides: the encoders.
        shown: images and attacked images (B, C, H, W) with labels.

    Returns:
        A 0-d tensor with its graph: the share of this process.
    """
    attacked = trained_pass(session, sides.attacked.pipeline, shown.attacked)
    classified = cross_entropy(session, attacked.logits, shown.labels)
    if session.config.two_encoders.training == "joint":
        clean = trained_pass(session, sides.clean.pipeline, shown.images)
        classified = classified + cross_entropy(session, clean.logits, shown.labels)
        features = clean.features
    else:
        features = fixed_features(session, sides.clean.pipeline.encoder, shown.images)
    projections = [projected(session, sides.clean, features), projected(session, sides.attacked, attacked.features)]
    contrast = contrast_loss(session, torch.stack(projections, dim=1), shown.labels)
    return session.part.share_of(classified) + session.config.two_encoders.weight * contrast


def contrast_loss(session: Session, projections: Tensor, labels: Tensor) -> Tensor:
    """The contrast (0-d) between projections (B, 2, P) of clean and attacked: the share of this process.

    The two encoders take the places of the two views of a contrastive loss, `nt_xent_loss` or `supcon_loss`.
    """
    config = session.config.two_encoders
    if config.positives == "image":
        return nt_xent_loss(projections, config.temperature, session.part)
    return supcon_loss(projections, labels, config.temperature, session.part)


def projected(session: Session, side: Side, features: Tensor) -> Tensor:
    """Projections (B, P) of features (B, D), of unit length and with a graph."""
    with training(side.head), session.compute.autocast():
        projections: Tensor = side.head(features)
    return projections


@torch.no_grad()
def fixed_features(session: Session, encoder: nn.Module, images: Tensor) -> Tensor:
    """Features (B, D) of images (B, C, H, W) by an encoder that stands still."""
    with evaluating(encoder), session.compute.autocast():
        features: Tensor = encoder(session.compute.arrange(images))
    return features
