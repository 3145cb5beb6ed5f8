"""Stage 2: supervised contrastive learning with adversarial features (paper, section 3 and Algorithm 1).

Every epoch has two parts: the classifier is retrained on attacked images while the encoder stands still, then the
encoder learns from two views and one adversarial view, crafted through encoder and classifier.
"""

from collections.abc import Generator, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.accuracy import AttackSuite, accuracy_steps, first
from claf_engine.attacks import attack_steps, from_config, space_of
from claf_engine.device import channels_last
from claf_engine.events import ClassifierRetrained, DissociationMeasured
from claf_engine.folding import fold, fold_encoder
from claf_engine.models import ATTACK, Pipeline, reset_classifier
from claf_engine.modes import evaluating
from claf_engine.phases.contrastive import NUM_VIEWS, contrastive_loss, loss_name
from claf_engine.seeding import ATTACK as ATTACK_STREAM
from claf_engine.seeding import INIT, VIEWS
from claf_engine.session import Session
from claf_engine.ticks import PartEnd, Pulse, Tick
from claf_engine.views import crop_and_flip, make_views

RETRAIN, ENCODER = 0, 1


def adversarial(session: Session) -> Iterator[Tick]:
    """Retrain the classifier, then train the encoder with the adversarial view, epoch after epoch."""
    cursor = session.state.cursor
    while cursor.epoch < session.config.adversarial.epochs:
        if cursor.part == RETRAIN:
            yield from retrain(session)
            cursor.end_part()
            yield PartEnd()
        yield from train_encoder(session)
        yield from measure_dissociation(session)
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)


def retrain(session: Session) -> Iterator[Tick]:
    """Retraining of the attack classifier on the frozen encoder, N passes (Algorithm 1, first loop)."""
    state, num_sweeps = session.state, session.config.adversarial.classifier_epochs
    cursor, ledger = state.cursor, state.ledger
    if ledger.before is None:
        ledger.before = (yield from adversarial_accuracy(session)) if ledger.moved is None else ledger.moved
        if session.config.adversarial.classifier_start == "reinitialise":
            reset_classifier(state.network, ATTACK, state.generators[INIT])
            ledger.validation.clear()
        session.renew_optimizer(ATTACK)
    model = Pipeline(fold_encoder(state.network.encoder), state.network.classifiers[ATTACK])
    while cursor.sweep < num_sweeps:
        for rows in session.batches():
            images, labels = session.training_batch(rows)
            shown = yield from classifier_images(session, model, images, labels)
            loss = F.cross_entropy(classify_frozen(session, model, shown), labels)
            done = cursor.sweep * session.steps_per_sweep + cursor.batch
            total = num_sweeps * session.steps_per_sweep
            rate = session.step_optimizer(ATTACK, loss, done, total, is_edited=False)
            yield session.finish_step("retrain", "classifier", loss, rate, len(rows))
        cursor.end_sweep()
    session.drop_optimizer(ATTACK)
    after = yield from adversarial_accuracy(session)
    assert ledger.before is not None, "measured when this retraining began"
    yield ClassifierRetrained(cursor.step, cursor.epoch + 1, ledger.before, after, num_watched(session))
    ledger.before, ledger.fitted, ledger.moved = None, after, None


def train_encoder(session: Session) -> Iterator[Tick]:
    """One epoch of encoder and projection head on two views and the adversarial view (Algorithm 1, second loop)."""
    generators = session.state.generators
    for rows in session.batches():
        images, labels = session.training_batch(rows)
        views = make_views(images, session.config.views, NUM_VIEWS, generators[VIEWS])
        attacked = yield from craft(session, fold(session.state.network.with_classifier(ATTACK)), images, labels)
        loss = contrastive_loss(session, torch.cat([views, attacked[:, None]], dim=1), labels)
        rate = session.feature_step(loss)
        yield session.finish_step("encoder", loss_name(session), loss, rate, len(rows))


def measure_dissociation(session: Session) -> Iterator[Tick]:
    """Ask the classifier again after the encoder has moved on: what it lost is the dissociation of this epoch."""
    ledger, cursor = session.state.ledger, session.state.cursor
    assert ledger.fitted is not None, "measured when the retraining ended"
    moved = yield from adversarial_accuracy(session)
    ledger.moved = moved
    num_watched_images = num_watched(session)
    yield DissociationMeasured(
        cursor.step, cursor.epoch + 1, ledger.fitted, moved, ledger.fitted - moved, num_watched_images
    )


def classifier_images(
    session: Session, model: nn.Module, images: Tensor, labels: Tensor
) -> Generator[Pulse, None, Tensor]:
    """What the classifier is retrained on: attacked images, or natural ones (paper, Table 2)."""
    if session.config.adversarial.classifier_images == "adversarial":
        return (yield from craft(session, model, images, labels))
    return source_images(session, images)


def craft(session: Session, model: nn.Module, images: Tensor, labels: Tensor) -> Generator[Pulse, None, Tensor]:
    """The adversarial view of images (B, 3, H, W): PGD through encoder and attack classifier, in eval mode.

    Args:
        session: settings and random streams.
        model: encoder and attack classifier, folded or not.
        images: in [0, 1].
        labels: (B,) true classes.
    """
    images = source_images(session, images)
    attack = from_config(session.config.attack, session.config.model)
    stream = session.state.generators[ATTACK_STREAM]
    return (yield from attack_steps(model, images, labels, attack, stream, session.compute))


def source_images(session: Session, images: Tensor) -> Tensor:
    """What is attacked: the images (B, 3, H, W) as they are, or randomly cropped and flipped."""
    if session.config.adversarial.source == "image":
        return images
    return crop_and_flip(images, session.config.views, session.state.generators[VIEWS])


def classify_frozen(session: Session, model: Pipeline, images: Tensor) -> Tensor:
    """Logits (B, K) with a graph through the classifier only; the encoder's BatchNorm buffers stand still."""
    with torch.no_grad(), evaluating(model.encoder), session.compute.autocast():
        features = model.encoder(channels_last(images)).float()
    logits: Tensor = model.classifier(features)
    return logits


def adversarial_accuracy(session: Session) -> Generator[Pulse, None, float]:
    """Accuracy of the attack classifier under the training attack, on the watched validation images, in fp32."""
    attack = session.config.attack
    space = space_of(attack.space, session.config.model)
    suite = AttackSuite((attack.epsilon,), attack.steps, attack.step_size, norm=attack.norm, space=space)
    watched = first(session.data.validation, num_watched(session))
    model = session.state.network.with_classifier(ATTACK)
    measured = yield from accuracy_steps(model, watched, suite, session.compute)
    return measured.robust[0].accuracy


def num_watched(session: Session) -> int:
    """How many validation images retraining and dissociation are measured on: those of the probe."""
    return min(session.config.probe.num_examples, len(session.data.validation))
