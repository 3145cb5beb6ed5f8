"""Supervised training of encoder and classifier together, whatever the objective: natural, adversarial or TRADES."""

from collections.abc import Generator, Iterator
from fractions import Fraction

from claf_engine.accuracy import AttackSuite, accuracy_steps, first
from claf_engine.attacks import space_of
from claf_engine.events import OverfittingChecked
from claf_engine.names import AttackName
from claf_engine.phases.objectives import Objective, fgsm_loss
from claf_engine.seeding import VIEWS
from claf_engine.session import Session
from claf_engine.state import joint_optimizer
from claf_engine.ticks import PartEnd, Pulse, Tick
from claf_engine.views import crop_and_flip, shift_and_flip

VIEW_OF = {"shift": shift_and_flip, "crop": crop_and_flip}


def supervised(session: Session, objective: Objective, classifier: str, loss_name: str) -> Iterator[Tick]:
    """Train encoder and classifier on the configured view of every image, epoch after epoch.

    Args:
        session: where the run is.
        objective: what is minimised.
        classifier: the name of the classifier that is trained.
        loss_name: the name under which the loss is logged.
    """
    state, config = session.state, session.config
    cursor, epochs, optimizer = state.cursor, config.supervised.epochs, joint_optimizer(classifier)
    model = state.network.with_classifier(classifier)
    while cursor.epoch < epochs and not state.ledger.has_collapsed:
        for rows in session.batches():
            images, labels = session.training_batch(rows)
            if config.supervised.view != "image":
                images = VIEW_OF[config.supervised.view](images, config.views, state.generators[VIEWS])
            loss = yield from objective(session, model, images, labels)
            done = cursor.epoch * session.steps_per_sweep + cursor.batch
            rate = session.step_optimizer(optimizer, loss, done, epochs * session.steps_per_sweep)
            yield session.finish_step("supervised", loss_name, loss, rate, len(rows))
        if objective is fgsm_loss:
            yield from check_overfitting(session, classifier)
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True, phase_ended=state.ledger.has_collapsed)
    session.drop_optimizer(optimizer)


def check_overfitting(session: Session, classifier: str) -> Iterator[Tick]:
    """Compare the one-step attack with PGD on validation images (Wong et al. 2020, section 5.4)."""
    ledger, config, cursor = session.state.ledger, session.config, session.state.cursor
    single = yield from watched_accuracy(session, classifier, "fgsm", 1)
    multi = yield from watched_accuracy(session, classifier, "pgd", config.fgsm.monitor_steps)
    ledger.best_monitored = max(multi, ledger.best_monitored or 0.0)
    collapsed = ledger.best_monitored - multi > config.fgsm.collapse_drop
    ledger.has_collapsed = collapsed and config.fgsm.on_collapse == "stop"
    num_watched = min(config.probe.num_examples, len(session.data.validation))
    yield OverfittingChecked(
        cursor.step, cursor.epoch + 1, single, multi, ledger.best_monitored, num_watched, collapsed
    )


def watched_accuracy(
    session: Session, classifier: str, attack: AttackName, steps: int
) -> Generator[Pulse, None, float]:
    """Robust accuracy on the probe's validation images under an attack with the radius of training, in fp32."""
    config = session.config
    step_size = Fraction(5, 2) * config.attack.epsilon / steps
    space = space_of(config.attack.space, config.model)
    suite = AttackSuite((config.attack.epsilon,), steps, step_size, name=attack, norm=config.attack.norm, space=space)
    watched = first(session.data.validation, config.probe.num_examples)
    model = session.state.network.with_classifier(classifier)
    measured = yield from accuracy_steps(model, watched, suite, session.compute)
    return measured.robust[0].accuracy
