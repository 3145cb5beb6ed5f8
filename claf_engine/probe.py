"""The periodic look at natural and robust accuracy on a fixed validation subset.

Nothing here touches training state: the quick fit of stage 1 uses a throw-away classifier, optimiser and generator.
"""

from collections.abc import Generator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.accuracy import Accuracy, AttackSuite, accuracy_steps, first
from claf_engine.attacks import space_of
from claf_engine.config import EvaluationConfig, ModelConfig, ProbeConfig
from claf_engine.methods import Phase
from claf_engine.models import Pipeline
from claf_engine.phases.linear import feature_steps
from claf_engine.seeding import measurement_generator
from claf_engine.session import Session
from claf_engine.ticks import Pulse

QUICK_FIT = "quick linear fit"
QUICK_FIT_IMAGES = 2000
QUICK_FIT_BATCH = 100
QUICK_FIT_RATE = 0.01


def suite_of(config: ProbeConfig | EvaluationConfig, model: ModelConfig) -> AttackSuite:
    """The attack that a section of the settings describes, against a network with these settings."""
    restarts = config.restarts if isinstance(config, EvaluationConfig) else 1
    space = space_of(config.space, model)
    return AttackSuite(config.epsilons, config.steps, config.step_size, restarts, norm=config.norm, space=space)


def probe_steps(session: Session, phase: Phase) -> Generator[Pulse, None, Accuracy]:
    """Measure accuracy on the probe's validation images, by the classifier that the phase has."""
    if phase.classifier is None:
        model: nn.Module = yield from quick_fit(session)
    else:
        model = session.state.network.with_classifier(phase.classifier)
    split = first(session.data.validation, session.config.probe.num_examples)
    return (
        yield from accuracy_steps(model, split, suite_of(session.config.probe, session.config.model), session.compute)
    )


def quick_fit(session: Session) -> Generator[Pulse, None, Pipeline]:
    """Fit a linear classifier to the features of up to 2,000 training images, for a phase that has none yet."""
    encoder, split = session.state.network.encoder, first(session.data.train, QUICK_FIT_IMAGES)
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
