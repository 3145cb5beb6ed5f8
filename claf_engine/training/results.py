"""What a finished run reports on the test split: every classifier it fitted, of the last state and of the best one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from claf_engine.events import TestResult
from claf_engine.runs import RunDirectory, list_checkpoints
from claf_engine.terms.errors import CheckpointError, RunError
from claf_engine.training.checkpoint import load_trained_network, weights_sha256
from claf_engine.training.methods import reported_classifiers
from claf_engine.training.phase import Phase
from claf_engine.training.session import Session


@dataclass(frozen=True)
class Candidate:
    """One classifier on one encoder.

    Attributes:
        validation: its accuracy on validation images that it is chosen by (see `selection`).
        weights_sha256: of the network that it is a part of.
    """

    checkpoint: str
    classifier: str
    model: nn.Module
    validation: float
    weights_sha256: str


def candidates(
    session: Session, phases: tuple[Phase, ...], directory: RunDirectory
) -> tuple[list[Candidate], list[str]]:
    """What a finished run reports on, and a sentence for a best checkpoint that cannot be read any more.

    Of several processes the first one looks, and the others get what it found.
    """
    found, notices, world = last_candidates(session, phases), [], session.world
    path, best = None, None
    if world.rank == 0:
        try:
            path = best_checkpoint(session, phases, directory)
            best = None if path is None else candidate_of(session, path)
        except (CheckpointError, RunError) as error:
            path, notices = None, [f"the best checkpoint is left out of the test: {error}"]
    with world.copied(path) as copy:
        if world.rank and copy is not None:
            best = candidate_of(session, copy)
    return (found if best is None else [*found, best]), notices


def last_candidates(session: Session, phases: tuple[Phase, ...]) -> list[Candidate]:
    """The classifiers that were fitted last, on the last state."""
    validation = session.state.ledger.validation
    network = session.state.measured
    reported, sha256 = reported_classifiers(phases), weights_sha256(network)
    return [
        Candidate("last", classifier, network.with_classifier(classifier), chosen_by(figures), sha256)
        for classifier in dict.fromkeys(phase.classifier for phase in phases)
        if classifier in reported and classifier is not None and (figures := validation.get(classifier)) is not None
    ]


def chosen_by(figures: Mapping[str, float]) -> float:
    """What a classifier is chosen by, of its figures on validation images: those of earlier versions have one alone."""
    return figures.get("selection", figures["robust"])


def best_checkpoint(session: Session, phases: tuple[Phase, ...], directory: RunDirectory) -> Path | None:
    """The file of the best checkpoint, unless the last state holds the same encoder and classifier.

    Raises:
        RunError: the folder cannot be looked into.
    """
    for entry in list_checkpoints(directory.path):
        info = entry.info
        if info is None or "best" not in entry.kept_as:
            continue
        if info.step == session.state.cursor.step or info.classifier in _fitted_last(phases):
            return None
        return entry.path
    return None


def candidate_of(session: Session, path: Path) -> Candidate:
    """The network of the best checkpoint.

    Raises:
        CheckpointError: it cannot be read.
    """
    info, _, network = load_trained_network(path)
    session.compute.place(network)
    model = network.with_classifier(info.classifier)
    return Candidate("best", info.classifier, model, info.chosen_by or 0.0, info.weights_sha256)


def select(results: list[TestResult], found: list[Candidate]) -> tuple[TestResult, ...]:
    """Mark the result of the candidate with the highest figure on validation images, the first in a tie."""
    best = max(range(len(found)), key=lambda index: found[index].validation, default=-1)
    return tuple(replace(result, selected=index == best) for index, result in enumerate(results))


def _fitted_last(phases: tuple[Phase, ...]) -> set[str | None]:
    return {phase.classifier for phase in phases if phase.is_frozen}
