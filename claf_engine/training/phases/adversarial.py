"""Stage 2: supervised contrastive learning with adversarial features (paper, section 3 and Algorithm 1).

Every epoch has two parts: the classifier is retrained on attacked images while the encoder stands still, then the
encoder learns from two views and one adversarial view, crafted through encoder and classifier.
"""

from collections.abc import Generator, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.suite import training_suite
from claf_engine.attacks import ascent_steps, from_config, log_odds
from claf_engine.attacks.gradients import Target
from claf_engine.compute.seeding import ATTACK_STREAM, INIT, VIEWS
from claf_engine.data.views import crop_and_flip, make_views
from claf_engine.events import ClassifierRetrained, DissociationMeasured
from claf_engine.events.ticks import PartEnd, Pulse, Tick
from claf_engine.models.modes import evaluating
from claf_engine.models.network import ATTACK_CLASSIFIER, Pipeline, reset_classifier
from claf_engine.training.costs import is_replayed
from claf_engine.training.phases.contrastive import NUM_VIEWS, contrastive_loss, loss_name
from claf_engine.training.phases.savings import (
    drop_features,
    keep_features,
    keep_perturbations,
    kept_features,
    prepare_perturbations,
    warm_point,
)
from claf_engine.training.ramps import grown
from claf_engine.training.session import Session

RETRAIN, ENCODER = 0, 1


def adversarial(session: Session) -> Iterator[Tick]:
    """Retrain the classifier, then train the encoder with the adversarial view, epoch after epoch."""
    cursor, epochs = session.state.cursor, session.config.adversarial.epochs
    while cursor.epoch < epochs:
        prepare_perturbations(session)
        if cursor.part == RETRAIN:
            yield from retrain(session)
            cursor.end_part()
            yield PartEnd()
        yield from train_encoder(session)
        yield from measure_dissociation(session)
        cursor.end_epoch()
        if cursor.epoch == epochs:
            session.state.perturbations = None
        yield PartEnd(epoch_ended=True)


def retrain(session: Session) -> Iterator[Tick]:
    """Retraining of the attack classifier on the frozen encoder, N passes (Algorithm 1, first loop)."""
    state, num_sweeps = session.state, session.config.adversarial.classifier_epochs
    cursor, ledger = state.cursor, state.ledger
    if ledger.accuracy_before_retraining is None:
        known = ledger.accuracy_after_encoder
        ledger.accuracy_before_retraining = (yield from adversarial_accuracy(session)) if known is None else known
        if session.config.adversarial.classifier_start == "reinitialise":
            reset_classifier(state.network, ATTACK_CLASSIFIER, state.generators[INIT])
            ledger.validation.clear()
        session.renew_optimizer(ATTACK_CLASSIFIER)
    target = Target(state.network.with_classifier(ATTACK_CLASSIFIER), session.compute)
    while cursor.sweep < num_sweeps:
        yield from retraining_sweep(session, target)
        drop_features(session)
        cursor.end_sweep()
    session.drop_optimizer(ATTACK_CLASSIFIER)
    after = yield from adversarial_accuracy(session)
    before = ledger.accuracy_before_retraining
    assert before is not None, "measured when this retraining began"
    yield ClassifierRetrained(cursor.step, cursor.epoch + 1, before, after, num_watched(session))
    ledger.accuracy_before_retraining, ledger.accuracy_after_encoder = None, None
    ledger.accuracy_after_retraining = after


def retraining_sweep(session: Session, target: Target) -> Iterator[Tick]:
    """One pass of retraining: over images attacked now, or over the features that an earlier pass of the epoch kept."""
    config, cursor = session.config.adversarial, session.state.cursor
    classifier, steps = session.state.network.classifiers[ATTACK_CLASSIFIER], session.steps_per_retraining_sweep
    replayed = is_replayed(config, cursor.sweep)
    for rows in session.batches(steps, again=replayed):
        if replayed:
            features, labels = kept_features(session, rows)
        else:
            images, labels = session.training_batch(rows)
            shown = yield from classifier_images(session, target, images, labels, rows)
            features = frozen_features(session, target, shown)
            keep_features(session, rows, features)
        loss = session.part.share_of(F.cross_entropy(classifier(features), labels))
        done, total = cursor.sweep * steps + cursor.batch, config.classifier_epochs * steps
        rate = session.step_optimizer(ATTACK_CLASSIFIER, loss, done, total, is_edited=False)
        yield session.finish_step("replay" if replayed else "retrain", "classifier", loss, rate, session.part.total)


def train_encoder(session: Session) -> Iterator[Tick]:
    """One epoch of encoder and projection head on two views and the adversarial view (Algorithm 1, second loop)."""
    generators = session.state.generators
    target = Target(session.state.network.with_classifier(ATTACK_CLASSIFIER), session.compute)
    for rows in session.batches():
        images, labels = session.training_batch(rows)
        views = make_views(images, session.config.views, NUM_VIEWS, generators[VIEWS], session.part)
        target.refresh()
        attacked = yield from craft(session, target, images, labels, rows)
        loss_of = partial(contrastive_loss, session, torch.cat([views, attacked[:, None]], dim=1), labels)
        taken = session.feature_step(loss_of, session.config.adversarial.epochs)
        yield session.finish_step("encoder", loss_name(session), *taken, session.part.total)


def measure_dissociation(session: Session) -> Iterator[Tick]:
    """Ask the classifier again after the encoder has moved on: what it lost is the dissociation of this epoch."""
    ledger, cursor = session.state.ledger, session.state.cursor
    fitted = ledger.accuracy_after_retraining
    assert fitted is not None, "measured when the retraining ended"
    moved = yield from adversarial_accuracy(session)
    ledger.accuracy_after_encoder = moved
    num_watched_images = num_watched(session)
    yield DissociationMeasured(
        cursor.step,
        cursor.epoch + 1,
        fitted,
        moved,
        fitted - moved,
        num_watched_images,
    )


def classifier_images(
    session: Session, target: Target, images: Tensor, labels: Tensor, rows: Tensor
) -> Generator[Pulse, None, Tensor]:
    """What the classifier is retrained on: attacked images, or natural ones (paper, Table 2)."""
    if session.config.adversarial.classifier_images == "adversarial":
        return (yield from craft(session, target, images, labels, rows))
    return source_images(session, images)


def craft(
    session: Session, target: Target, images: Tensor, labels: Tensor, rows: Tensor | None = None
) -> Generator[Pulse, None, Tensor]:
    """The adversarial view of images (B, C, H, W): PGD through encoder and attack classifier, in eval mode.

    Args:
        session: settings and random streams.
        target: encoder and attack classifier.
        images: in [0, 1].
        labels: (B,) true classes.
        rows: (B,) training rows of the images, for attacks that start warm; None for an attack on its own.
    """
    images = source_images(session, images)
    attack = grown(session, from_config(session.config.attack, session.config.model), session.config.adversarial.epochs)
    stream = session.state.generators[ATTACK_STREAM]
    begin = None if rows is None else warm_point(session, rows, images)
    attacked = yield from ascent_steps(target.gradient(log_odds, labels), images, attack, stream, begin, session.part)
    if rows is not None:
        keep_perturbations(session, rows, attacked - images)
    return attacked


def source_images(session: Session, images: Tensor) -> Tensor:
    """What is attacked: the images (B, C, H, W) as they are, or randomly cropped and flipped."""
    if session.config.adversarial.source == "image":
        return images
    return crop_and_flip(images, session.config.views, session.state.generators[VIEWS], session.part)


def classify_frozen(session: Session, target: Target, images: Tensor) -> Tensor:
    """Logits (B, K) with a graph through the classifier only; the encoder's BatchNorm buffers stand still."""
    assert isinstance(target.model, Pipeline)
    logits: Tensor = target.model.classifier(frozen_features(session, target, images))
    return logits


def frozen_features(session: Session, target: Target, images: Tensor) -> Tensor:
    """Features (B, D) in fp32 without a graph, in training precision; the encoder's BatchNorm buffers stand still."""
    model = target.model
    assert isinstance(model, Pipeline)
    with torch.no_grad(), evaluating(model.encoder), session.compute.autocast():
        features: Tensor = model.encoder(session.compute.arrange(images)).float()
    return features


def adversarial_accuracy(session: Session) -> Generator[Pulse, None, float]:
    """Accuracy of the attack classifier under the training attack, on the watched validation images, in fp32."""
    attack = session.config.attack
    suite = training_suite(session.config, attack.steps, attack.step_size)
    watched = session.data.validation.first(num_watched(session))
    model = session.state.network.with_classifier(ATTACK_CLASSIFIER)
    measured = yield from accuracy_steps(model, watched, suite, session.compute)
    return measured.robust[0].accuracy


def num_watched(session: Session) -> int:
    """How many validation images retraining and dissociation are measured on: those of the probe."""
    return min(session.config.probe.num_examples, len(session.data.validation))
