"""The periodic look at natural and robust accuracy on a fixed validation subset.

Nothing here touches training state: the quick fit of stage 1 uses a throw-away classifier, optimiser and generator.
"""

from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine import events as ev
from claf_engine.accuracy.measure import Accuracy, accuracy_steps
from claf_engine.accuracy.suite import suite_of
from claf_engine.compute.seeding import measurement_generator
from claf_engine.events.ticks import Pulse
from claf_engine.models.network import NATURAL, Pipeline
from claf_engine.runs.alerting import changes
from claf_engine.runs.examples import About
from claf_engine.training.alarms import Fall, findings
from claf_engine.training.examples import KeptExamples, example_steps, num_kept, watched
from claf_engine.training.phase import Phase
from claf_engine.training.phases.linear import feature_steps
from claf_engine.training.selection import selection_steps
from claf_engine.training.sentinels import Sentinels, num_watched, sentinel_steps
from claf_engine.training.session import Session

QUICK_FIT = "quick linear fit"
QUICK_CLASSIFIER = "quick fit"
QUICK_FIT_IMAGES, QUICK_FIT_PER_CLASS = 2000, 10
"""Training images of the quick fit: so many, or with many classes so many of each."""
QUICK_FIT_BATCH = 100
QUICK_FIT_RATE = 0.01
ATTACKS = ("one_step", "multi_step", "cross_entropy", "margin")
"""What the sentinels compare."""


@dataclass(frozen=True)
class Probed:
    """What one probe measured; the rest is None where it is switched off.

    Attributes:
        selection: see `selection.selection_steps`.
    """

    accuracy: Accuracy
    selection: float | None
    sentinels: Sentinels | None
    examples: KeptExamples | None = None


def probe_steps(session: Session, phase: Phase) -> Generator[Pulse, None, Probed]:
    """Measure accuracy on the probe's validation images by the phase's classifier.

    The sentinels look at a few of them, and a few are attacked once more and kept for a person to look at.
    """
    if phase.classifier is None:
        model = yield from quick_fit(session)
    else:
        model = session.state.measured.with_classifier(phase.classifier)
    config, compute = session.config.probe, session.compute
    suite, split = suite_of(config, session.config.model), session.data.validation.first(config.num_examples)
    measured = yield from accuracy_steps(model, split, suite, compute)
    selection = None
    if phase.classifier is not None:
        stronger = selection_steps(model, split, suite, measured.outcomes, config.selection_steps, compute)
        selection = yield from stronger
    count = num_watched(config.sentinel_examples, len(split))
    sentinels = None
    if count:
        sentinels = yield from sentinel_steps(model, split.first(count), suite, measured.outcomes, compute)
    if not config.examples or not any(suite.epsilons):
        return Probed(measured, selection, sentinels)
    about = About(session.state.cursor.step, _epoch(session), phase.title, phase.classifier or QUICK_CLASSIFIER)
    shown = watched(split, num_kept(config))
    examples = yield from example_steps(model, shown, suite, compute, about, config.examples)
    return Probed(measured, selection, sentinels, examples)


def tell(session: Session, phase: Phase, probed: Probed, seconds: float, *, requested: bool) -> Iterator[ev.Event]:
    """Enter a probe into the run's ledger and tell of it: its figures, its sentinels, and the alerts that change."""
    cursor, ledger, measured = session.state.cursor, session.state.ledger, probed.accuracy
    classifier = phase.classifier or QUICK_CLASSIFIER
    if phase.classifier is not None:
        figures = {"natural": measured.natural, "robust": measured.robust[0].accuracy if measured.robust else 0.0}
        if probed.selection is not None:
            figures["selection"] = probed.selection
        ledger.validation[classifier] = figures
    ledger.probe = {
        "step": cursor.step,
        "classifier": classifier,
        "natural": measured.natural,
        "robust": [asdict(figure) for figure in measured.robust],
    }
    epoch = _epoch(session)
    yield ev.ProbeFinished(
        step=cursor.step,
        phase=cursor.phase,
        epoch=epoch,
        classifier=classifier,
        natural=measured.natural,
        robust=measured.robust,
        seconds=seconds,
        requested=requested,
        selection=probed.selection,
    )
    if probed.sentinels is not None:
        told = told_sentinels(probed.sentinels, cursor.step, epoch, classifier)
        notices = {figure.epsilon: figure.notice for figure in measured.robust}
        yield replace(told, notice=notices.get(told.epsilon, ""))
        fall = fall_of(session, phase, measured)
        yield from changes(findings(probed.sentinels, fall), ledger.alerts, cursor.step)


def told_sentinels(found: Sentinels, step: int, epoch: int, classifier: str) -> ev.SentinelsChecked:
    """What the sentinels found, as an event."""
    compared = found.compared
    shares: dict[str, Any] = dict.fromkeys(ATTACKS)
    if compared is not None:
        shares = {name: _share(getattr(compared, name)) for name in ATTACKS}
    return ev.SentinelsChecked(
        step=step,
        epoch=epoch,
        classifier=classifier,
        epsilon=compared.epsilon if compared is not None else "",
        natural=_share(found.natural),
        radius_zero=_share(found.radius_zero),
        largest_distance=round(found.largest_distance, 6),
        num_examples=found.num_examples,
        norm=found.norm,
        space=found.space,
        **shares,
    )


def fall_of(session: Session, phase: Phase, measured: Accuracy) -> Fall | None:
    """How PGD accuracy stands against its best of this phase, where catastrophic overfitting would be an accident.

    None elsewhere: a phase that does not train on attacked images may lose robustness, and fast training watches over
    itself, after every epoch and under the attack that it trains with.
    """
    has_no_fall = session.config.method == "fgsm" or phase.classifier == NATURAL
    measured_at = zip(session.config.probe.epsilons, measured.robust, strict=True)
    compared = next((figure for epsilon, figure in measured_at if epsilon), None)
    if has_no_fall or phase.classifier is None or phase.is_frozen or compared is None:
        return None
    ledger = session.state.ledger
    ledger.best_probed = max(compared.accuracy, ledger.best_probed or 0.0)
    return Fall(compared.accuracy, ledger.best_probed, compared.num_examples, len(session.data.class_names))


def quick_fit(session: Session) -> Generator[Pulse, None, Pipeline]:
    """Fit a linear classifier to the features of some training images, for a phase that has none yet."""
    count = max(QUICK_FIT_IMAGES, QUICK_FIT_PER_CLASS * len(session.data.class_names))
    encoder, split = session.state.measured.encoder, session.data.train.first(count)
    device, num_epochs = session.compute.device, session.config.probe.fit_epochs
    features: Tensor = yield from feature_steps(encoder, split, session.compute)
    classifier = nn.Linear(features.shape[1], len(session.data.class_names), device="meta").to_empty(device=device)
    nn.init.zeros_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=QUICK_FIT_RATE)
    stream = measurement_generator(0, "quick fit", torch.device("cpu"))
    for epoch in range(num_epochs):
        yield Pulse(QUICK_FIT, epoch, num_epochs, abandonable=True)
        for rows in torch.split(torch.randperm(len(split), generator=stream), QUICK_FIT_BATCH):
            placed = rows.to(device)
            loss = F.cross_entropy(classifier(features[placed]), split.labels[placed])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return Pipeline(encoder, classifier)


def _epoch(session: Session) -> int:
    """The epoch that a probe belongs to: the one that has just ended, or the one that is going on."""
    cursor = session.state.cursor
    return cursor.epoch + (0 if cursor.batch == 0 and cursor.part == 0 else 1)


def _share(survives: Tensor) -> float:
    return int(survives.sum()) / len(survives)
