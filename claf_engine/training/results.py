"""What a finished run reports on the test split: every classifier it fitted, of the last state and of the best one."""

from dataclasses import dataclass, replace

from torch import nn

from claf_engine.config import ProbeConfig, RunConfig
from claf_engine.events import TestResult
from claf_engine.models.network import CLASSIFIERS
from claf_engine.runs import RunDirectory, list_checkpoints
from claf_engine.runs.header import CheckpointInfo
from claf_engine.terms.errors import CheckpointError
from claf_engine.terms.pixels import format_distance
from claf_engine.training.checkpoint import load_trained_network
from claf_engine.training.methods import Phase, phases_of, reported_classifiers
from claf_engine.training.session import Session
from claf_engine.training.state import Cursor


@dataclass(frozen=True)
class Candidate:
    """One classifier on one encoder; `validation` is its robust accuracy on validation images."""

    checkpoint: str
    classifier: str
    model: nn.Module
    validation: float


def candidates(
    session: Session, phases: tuple[Phase, ...], directory: RunDirectory
) -> tuple[list[Candidate], list[str]]:
    """What a finished run reports on, and a sentence for a best checkpoint that cannot be read any more."""
    found = last_candidates(session, phases)
    try:
        best = best_candidate(session, phases, directory)
    except CheckpointError as error:
        return found, [f"the best checkpoint is left out of the test: {error}"]
    return (found if best is None else [*found, best]), []


def last_candidates(session: Session, phases: tuple[Phase, ...]) -> list[Candidate]:
    """The classifiers that were fitted last, on the last state."""
    validation = session.state.ledger.validation
    network = session.state.network
    reported = reported_classifiers(phases)
    return [
        Candidate("last", phase.classifier, network.with_classifier(phase.classifier), figures["robust"])
        for phase in phases
        if phase.classifier in reported
        and phase.classifier is not None
        and (figures := validation.get(phase.classifier)) is not None
    ]


def best_candidate(session: Session, phases: tuple[Phase, ...], directory: RunDirectory) -> Candidate | None:
    """The best checkpoint, unless the last state holds the same encoder and classifier.

    Raises:
        CheckpointError: it cannot be read.
    """
    for entry in list_checkpoints(directory.path):
        info = entry.info
        if info is None or "best" not in entry.kept_as:
            continue
        if info.step == session.state.cursor.step or info.classifier in _fitted_last(phases):
            return None
        _, _, network = load_trained_network(entry.path)
        session.compute.place(network)
        model = network.with_classifier(info.classifier)
        return Candidate("best", info.classifier, model, info.metrics["validation_robust"])
    return None


def select(results: list[TestResult], found: list[Candidate]) -> tuple[TestResult, ...]:
    """Mark the result of the candidate with the highest validation robust accuracy, the first in a tie."""
    best = max(range(len(found)), key=lambda index: found[index].validation, default=-1)
    return tuple(replace(result, selected=index == best) for index, result in enumerate(results))


def selection_rule(probe: ProbeConfig) -> str:
    """What `select` goes by, in words: the first figure of every probe; empty when probes attack nothing."""
    if not probe.epsilons:
        return ""
    norm = "" if probe.norm == "linf" else f"{probe.norm.upper()} "
    space = "" if probe.space == "pixel" else f" ({probe.space}, no ball)"
    return f"validation robust accuracy at {norm}{format_distance(probe.epsilons[0])}{space}"


def require_trained(info: CheckpointInfo, config: RunConfig, classifier: str) -> None:
    """Refuse to measure a classifier that holds nothing but the weights it was initialised with.

    Args:
        info: the checkpoint.
        config: the settings of its run.
        classifier: which one is to be measured.

    Raises:
        CheckpointError: there is no such classifier, its method does not train it, or had not begun to.
        ConfigError: the settings train nothing.
    """
    if classifier not in CLASSIFIERS:
        raise CheckpointError(f"there is no classifier {classifier!r}; a checkpoint has {', '.join(CLASSIFIERS)}")
    told = info.metadata.get("claf.trained_classifiers")
    trained = tuple(map(str, told)) if isinstance(told, list) else _trained_by(config)
    if classifier not in trained:
        where = "it was imported with" if isinstance(told, list) else f"its run (method {config.method}) trains"
        raise CheckpointError(
            f"the {classifier} classifier of {info.path.name} is untrained: {where} {' and '.join(trained) or 'none'}"
        )
    if told is None and classifier not in _begun(info, config):
        raise CheckpointError(
            f"the {classifier} classifier of {info.path.name} is untrained: it was saved in phase {info.phase!r}, too "
            "early; choose a later checkpoint of the run"
        )


def _trained_by(config: RunConfig) -> tuple[str, ...]:
    """The classifiers that a whole run trains."""
    return tuple(dict.fromkeys(phase.classifier for phase in phases_of(config) if phase.classifier is not None))


def _begun(info: CheckpointInfo, config: RunConfig) -> set[str | None]:
    """The classifiers that had taken a step when the checkpoint was saved."""
    try:
        cursor = Cursor(**info.metadata["claf.cursor"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{info.path} does not say how far its run had come ({error})") from error
    has_begun = cursor.epoch or cursor.part or cursor.sweep or cursor.batch
    return {phase.classifier for phase in phases_of(config)[: cursor.phase + bool(has_begun)]}


def _fitted_last(phases: tuple[Phase, ...]) -> set[str | None]:
    return {phase.classifier for phase in phases if phase.is_frozen}
