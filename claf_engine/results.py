"""What a finished run reports on the test split: every classifier it fitted, of the last state and of the best one."""

from dataclasses import dataclass, replace

from torch import nn

from claf_engine.checkpoint import load_trained_network
from claf_engine.device import Compute
from claf_engine.events import TestResult
from claf_engine.methods import Phase
from claf_engine.runs import RunDirectory, list_checkpoints
from claf_engine.session import Session


@dataclass(frozen=True)
class Candidate:
    """One classifier on one encoder; `validation` is its robust accuracy on validation images."""

    checkpoint: str
    classifier: str
    model: nn.Module
    validation: float


def candidates(session: Session, phases: tuple[Phase, ...], directory: RunDirectory) -> list[Candidate]:
    """The classifiers of the last state, and the best checkpoint's where that is another state.

    Raises:
        CheckpointError: the best checkpoint cannot be read.
    """
    validation = session.state.ledger.validation
    network = session.state.network
    fitted_last = {phase.classifier for phase in phases if phase.is_frozen}
    reported = fitted_last or {phase.classifier for phase in phases}
    found = [
        Candidate("last", phase.classifier, network.with_classifier(phase.classifier), figures["robust"])
        for phase in phases
        if phase.classifier in reported
        and phase.classifier is not None
        and (figures := validation.get(phase.classifier)) is not None
    ]
    best = _best(directory, session.compute, session.state.cursor.step, fitted_last)
    return [*found, best] if best is not None else found


def select(results: list[TestResult], found: list[Candidate]) -> tuple[TestResult, ...]:
    """Mark the result of the candidate with the highest validation robust accuracy, the first in a tie."""
    best = max(range(len(found)), key=lambda index: found[index].validation, default=-1)
    return tuple(replace(result, selected=index == best) for index, result in enumerate(results))


def _best(directory: RunDirectory, compute: Compute, last_step: int, fitted_last: set[str | None]) -> Candidate | None:
    """The best checkpoint, unless the last state holds the same encoder and classifier."""
    for entry in list_checkpoints(directory.path):
        info = entry.info
        if info is None or "best" not in entry.kept_as:
            continue
        if info.step == last_step or info.classifier in fitted_last:
            return None
        _, _, network = load_trained_network(entry.path)
        compute.place(network)
        model = network.with_classifier(info.classifier)
        return Candidate("best", info.classifier, model, info.metrics["validation_robust"])
    return None
