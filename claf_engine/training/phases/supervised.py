"""Supervised training of encoder and classifier together, whatever of `objectives` it minimises."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import partial

from torch import Tensor

from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.suite import AttackSuite, training_suite
from claf_engine.attacks import crossing_step_size
from claf_engine.compute.seeding import VIEWS
from claf_engine.config import RunConfig
from claf_engine.data.views import VIEW_OF
from claf_engine.events import OverfittingChecked
from claf_engine.events.ticks import PartEnd, Pulse, Tick
from claf_engine.terms.names import AttackName
from claf_engine.training.phases.objectives import Batch, Objective, crafting_target, fgsm_loss
from claf_engine.training.phases.terms import ROTATION
from claf_engine.training.session import Session
from claf_engine.training.state import FEATURES, joint_optimizer, optimizer_parts
from claf_engine.training.weight_perturbation import LossOf


def supervised(session: Session, objective: Objective, classifier: str, loss_name: str) -> Iterator[Tick]:
    """Train encoder and classifier on the configured view of every image, epoch after epoch.

    With a contrast in the objective the projection head learns with them, with turns the rotation head.

    Args:
        session: where the run is.
        objective: what is minimised.
        classifier: the name of the classifier that is trained.
        loss_name: the name under which the loss is logged.
    """
    state, config = session.state, session.config
    cursor, epochs = state.cursor, config.supervised.epochs
    terms = config.objective
    optimizer = joint_optimizer(
        classifier, with_head=terms.contrast_weight > 0, companion=ROTATION if terms.rotation_weight > 0 else ""
    )
    prepare_parts(session, optimizer)
    model = state.network.with_classifier(classifier)
    target = crafting_target(session, model)
    while cursor.epoch < epochs and not state.ledger.has_collapsed:
        for rows in session.batches():
            loss_of = yield from objective(session, model, target, viewed_batch(session, rows))
            loss_of = partial(own_share, session, loss_of)
            schedule = cursor.epoch * session.steps_per_sweep + cursor.batch, epochs * session.steps_per_sweep
            taken = session.minimise(optimizer, loss_of, session.progress(epochs), schedule)
            yield session.finish_step("supervised", loss_name, *taken, session.part.total)
        if objective is fgsm_loss:
            yield from check_overfitting(session, classifier)
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True, phase_ended=state.ledger.has_collapsed)
    session.drop_optimizer(optimizer)
    session.drop_companion(ROTATION)


def prepare_parts(session: Session, optimizer: str) -> None:
    """Have what this optimiser steps, and no other one; a branch may have begun or left off a term."""
    if ROTATION in optimizer_parts(optimizer):
        session.companion(ROTATION)
    else:
        session.drop_companion(ROTATION)
    stale = [name for name in session.state.optimizers if name.startswith((FEATURES, "encoder+")) and name != optimizer]
    for name in stale:
        session.drop_optimizer(name)


def viewed_batch(session: Session, rows: Tensor) -> Batch:
    """The configured view of the training rows that `batches` yielded last, and their labels."""
    images, labels = session.training_batch(rows)
    config = session.config
    if config.supervised.view != "image":
        stream = session.state.generators[VIEWS]
        images = VIEW_OF[config.supervised.view](images, config.views, stream, session.part)
    return images, labels


def own_share(session: Session, mean_of: LossOf) -> Tensor:
    """The share of this process in a mean over the whole batch."""
    return session.part.share_of(mean_of())


def check_overfitting(session: Session, classifier: str) -> Iterator[Tick]:
    """Compare the one-step attack of training with PGD on validation images (Wong et al. 2020).

    Collapsed means that accuracy under PGD lies more than `fgsm.collapse_drop` below its best of any epoch, and as far
    below accuracy under the one step: where both fall, training is noisy, but the one step still says what PGD says.
    """
    ledger, config, cursor = session.state.ledger, session.config, session.state.cursor
    single_step, multi_step = monitors(config)
    single = yield from watched_accuracy(session, classifier, single_step)
    multi = yield from watched_accuracy(session, classifier, multi_step)
    ledger.best_monitored = max(multi, ledger.best_monitored or 0.0)
    collapsed = min(ledger.best_monitored, single) - multi > config.fgsm.collapse_drop
    ledger.has_collapsed = collapsed and config.fgsm.on_collapse == "stop"
    num_watched = min(config.probe.num_examples, len(session.data.validation))
    yield OverfittingChecked(
        cursor.step, cursor.epoch + 1, single, multi, ledger.best_monitored, num_watched, collapsed
    )


def monitors(config: RunConfig) -> tuple[AttackSuite, AttackSuite]:
    """The one-step attack of fast training, and the PGD that it is compared with, in the norm and space of training.

    PGD takes steps of 2.5 radii over their number. Without `attack.random_start` the one step is plain FGSM, of a whole
    radius.
    """
    attack, steps = config.attack, config.fgsm.monitor_steps
    multi_step = training_suite(config, steps, crossing_step_size(attack.epsilon, steps))
    name: AttackName = "pgd" if attack.random_start else "fgsm"
    return replace(multi_step, steps=1, step_size=config.fgsm.step_size, name=name), multi_step


def watched_accuracy(session: Session, classifier: str, suite: AttackSuite) -> Generator[Pulse, None, float]:
    """Accuracy in [0, 1] on the probe's validation images under an attack of one radius, in fp32."""
    watched = session.data.validation.first(session.config.probe.num_examples)
    model = session.state.network.with_classifier(classifier)
    measured = yield from accuracy_steps(model, watched, suite, session.compute)
    return measured.robust[0].accuracy
