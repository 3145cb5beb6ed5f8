"""Stage 3: linear evaluation on the frozen encoder (paper, section 3 and Table 4)."""

from collections.abc import Generator, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.attacks import ascent_steps, from_config, log_odds
from claf_engine.attacks.gradients import Target
from claf_engine.compute.device import Compute, exact_fp32
from claf_engine.compute.seeding import ATTACK_STREAM
from claf_engine.data import Split, to_pixels
from claf_engine.events.ticks import PartEnd, Pulse, Tick
from claf_engine.models.modes import evaluating
from claf_engine.models.network import ADVERSARIAL, ATTACK_CLASSIFIER, NATURAL, Pipeline
from claf_engine.training.phases.adversarial import classify_frozen
from claf_engine.training.ramps import grown
from claf_engine.training.session import Session
from claf_engine.training.state import FEATURES

FEATURE_BATCH = 500


def linear_evaluation(session: Session) -> Iterator[Tick]:
    """Fit the natural classifier on the features of the unchanged training images (paper, section 3 and Table 6).

    The encoder is frozen and the images are not augmented, so the features are computed once, in fp32, and reused: the
    same numbers as computing them in every epoch.
    """
    session.drop_optimizer(FEATURES)
    cursor, epochs = session.state.cursor, session.config.linear_evaluation.epochs
    network, train = session.state.network, session.data.train
    if session.config.linear_evaluation.start == "attack":
        begin_with_attack_classifier(session, NATURAL)
    if cursor.epoch < epochs:
        features = yield from feature_steps(session.state.measured.encoder, train, session.compute)
    while cursor.epoch < epochs:
        for rows in session.batches():
            placed = rows.to(features.device, non_blocking=True)
            mean = F.cross_entropy(network.classifiers[NATURAL](features[placed]), train.labels[placed])
            loss = session.part.share_of(mean)
            done = cursor.epoch * session.steps_per_sweep + cursor.batch
            rate = session.step_optimizer(NATURAL, loss, done, epochs * session.steps_per_sweep)
            yield session.finish_step("natural", "classifier", loss, rate, session.part.total)
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)
    session.drop_optimizer(NATURAL)


def adversarial_linear_evaluation(session: Session) -> Iterator[Tick]:
    """Fit a second classifier on attacked images (paper, Table 4)."""
    session.drop_optimizer(FEATURES)
    state, config = session.state, session.config
    cursor, epochs = state.cursor, config.linear_evaluation.adversarial_epochs
    if config.linear_evaluation.adversarial_start == "attack":
        begin_with_attack_classifier(session, ADVERSARIAL)
    # The head of the trained network learns on the encoder that is measured, which may be an average.
    model = Pipeline(state.measured.encoder, state.network.classifiers[ADVERSARIAL])
    target = Target(model, session.compute)
    attack = from_config(config.attack, config.model, steps=config.linear_evaluation.adversarial_steps)
    while cursor.epoch < epochs:
        for rows in session.batches():
            images, labels = session.training_batch(rows)
            stream, spec = state.generators[ATTACK_STREAM], grown(session, attack, epochs)
            attacked = yield from ascent_steps(
                target.gradient(log_odds, labels), images, spec, stream, part=session.part
            )
            mean = F.cross_entropy(classify_frozen(session, target, attacked), labels)
            loss = session.part.share_of(mean)
            done = cursor.epoch * session.steps_per_sweep + cursor.batch
            rate = session.step_optimizer(ADVERSARIAL, loss, done, epochs * session.steps_per_sweep)
            yield session.finish_step("adversarial", "classifier", loss, rate, session.part.total)
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)
    session.drop_optimizer(ADVERSARIAL)


def begin_with_attack_classifier(session: Session, classifier: str) -> None:
    """Give a classifier the weights of the attack classifier, if its phase has not taken a step yet."""
    state = session.state
    if state.cursor.epoch == 0 and state.cursor.batch == 0:
        begun_with = state.measured.classifiers[ATTACK_CLASSIFIER].state_dict()
        state.network.classifiers[classifier].load_state_dict(begun_with)


def feature_steps(encoder: nn.Module, split: Split, compute: Compute) -> Generator[Pulse, None, Tensor]:
    """Features (N, D) of a split in fp32, from the encoder in eval mode; processes share the batches out."""
    compute = exact_fp32(compute)
    world, parts = compute.world, {}
    num_batches = -(-len(split) // FEATURE_BATCH)
    for batch in world.turns(num_batches):
        yield Pulse("features of the training images", batch, num_batches, abandonable=True, together=True)
        if batch < num_batches:
            images = to_pixels(split.images[batch * FEATURE_BATCH : (batch + 1) * FEATURE_BATCH])
            with torch.no_grad(), evaluating(encoder), compute.autocast():
                parts[batch * FEATURE_BATCH] = encoder(compute.arrange(images))
    (width,) = world.largest([part.shape[1] for part in parts.values()][:1] or [0])
    features = torch.zeros((len(split), width), device=compute.device)
    for begin, part in parts.items():
        features[begin : begin + len(part)] = part
    return world.sum(features)
