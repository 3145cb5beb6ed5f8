"""Audit one checkpoint: what `claf-tui audit` runs."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from claf_engine.attacks import space_of
from claf_engine.audits.bench import CLAIM_STEP, Subject
from claf_engine.audits.card import audit_card
from claf_engine.audits.checks import CHECKS
from claf_engine.audits.examine import examine_steps, tell_diagnostics
from claf_engine.audits.request import BUDGETS, AuditRequest, Budget, budget_for
from claf_engine.audits.store import Store
from claf_engine.compute.device import settings_restored
from claf_engine.config import RunConfig
from claf_engine.evaluation.cards import DEFENCE, card_folder, home_of, write_card
from claf_engine.evaluation.defences import DefenceChoice, open_defence
from claf_engine.evaluation.measured_card import command_line, facts
from claf_engine.evaluation.subject import (
    Opened,
    Wanted,
    open_source_steps,
    open_steps,
    require_same_classes,
    require_trained,
)
from claf_engine.events.audit import DiagnosticFound
from claf_engine.events.ticks import Pulse, exhaust, pump
from claf_engine.models.architectures import OwnEncoder
from claf_engine.models.hashing import hash_tensors
from claf_engine.runs import CheckpointEntry, list_checkpoints, versions
from claf_engine.terms.errors import CheckpointError, DataError, RunError
from claf_engine.terms.names import Verdict
from claf_engine.terms.pixels import format_distance
from claf_engine.training.checkpoint import load_trained_network

__all__ = ["AuditReport", "AuditRequest", "audit_folder", "audit_steps"]

STATE = "state.json"
PLAIN = str.maketrans(":,", "--")
"""Characters of a defence that a name of a folder does not have."""


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes:
        request: what was asked for.
        card: the robustness card, a JSON object (see `claf_engine.evaluation.cards`).
        folder: where card.json, card.md and state.json lie, or None where nothing can be written.
        diagnostics: in the order in which they were run.
        verdict: fails if any fails, else warns if any warns, else passes; not-run when nothing was run.
    """

    request: AuditRequest
    card: dict[str, Any]
    folder: Path | None
    diagnostics: tuple[DiagnosticFound, ...]
    verdict: Verdict

    def to_record(self) -> dict[str, Any]:
        """The card as a JSON object, with the folder that it lies in; its keys are stable."""
        return {**self.card, "folder": None if self.folder is None else str(self.folder)}


def audit_steps(request: AuditRequest) -> Generator[Pulse | DiagnosticFound, None, AuditReport]:
    """Load a checkpoint and its data, run the diagnostics in fp32, write the card, and report.

    What an interrupted audit of the same weights, images, seed and versions has done is told again and not run again.

    Yields:
        Pulses, and every diagnostic as soon as it is known.

    Raises:
        CheckpointError: a file cannot be read, or its classifier was not trained.
        DataError: the images cannot be had, have other classes or another number of channels, or were changed.
        ConfigError: the data source or the device has no such form, or the radius is 0.
        RunError: the state cannot be written.
    """
    started = time.monotonic()
    with settings_restored():
        opened = yield from _open_steps(request)
        info, config = opened.info, opened.config
        budget = budget_of(request, config)
        subject = _subject(request, opened, budget)
        folder = audit_folder(request, opened.classifier, subject.space.name)
        weights = info.weights_sha256 if request.defence is None else f"{info.weights_sha256} {request.defence}"
        store = Store(None if folder is None else folder / STATE, _key(budget, subject, weights))
        examination = yield from examine_steps(subject, budget, CHECKS, store)
    about = {
        **facts(info, config, opened.classifier),
        **({} if request.defence is None else {DEFENCE: str(request.defence)}),
        "data": opened.data.name,
        "device": subject.compute.describe(),
        "seed": request.seed,
        "budget": request.budget,
        "command": command_line(request.command),
        "seconds": round(time.monotonic() - started, 3),
        "notices": [*opened.notices, *_notices(request, config, subject, store)],
    }
    claim = {"epsilon": format_distance(request.epsilon), "norm": "linf", "space": subject.space.name}
    card = audit_card(examination, claim, about)
    _write(card, folder, request.checkpoint)
    return AuditReport(request, card, folder, examination.diagnostics, card["verdict"])


def _open_steps(request: AuditRequest) -> Generator[Pulse, None, Opened]:
    """Open the checkpoint of a request, or its model."""
    wanted = Wanted(request.data, None, ("train", "test"), request.accepts_changed_data)
    about: dict[str, Any] = {"classifier": request.classifier, "wanted": wanted, "device": request.device}
    if request.source is not None:
        opened = yield from open_source_steps(request.source, **about)
    else:
        opened = yield from open_steps(request.checkpoint, **about)
    return opened if request.defence is None else _guarded(opened, request.defence, request.checkpoint)


def _guarded(opened: Opened, choice: DefenceChoice, checkpoint: Path) -> Opened:
    """The same with the classifier behind a defence as one module, which has no encoder of its own to ask."""
    guarded = open_defence(choice, checkpoint).guarded(opened.model)
    opened.compute.place(guarded)
    return replace(opened, network=None, whole=guarded)


def audit_checkpoint(request: AuditRequest, tell: Callable[[DiagnosticFound], None] = lambda _: None) -> AuditReport:
    """`audit_steps` without the pulses.

    Args:
        request: what to audit, and how thoroughly.
        tell: is called with every diagnostic as soon as it is known.

    Raises:
        ClafError: see `audit_steps`.
    """
    return exhaust(pump(audit_steps(request), partial(tell_diagnostics, tell)))


def audit_folder(request: AuditRequest, classifier: str, space: str) -> Path | None:
    """Where an audit keeps its state and its card: below the run, or nowhere when that cannot be written."""
    if not os.access(home_of(request.checkpoint), os.W_OK):
        return None
    radius = format_distance(request.epsilon).replace("/", "-")
    guard = "" if request.defence is None else f"-{str(request.defence).translate(PLAIN)}"
    return card_folder(request.checkpoint, f"{classifier}-{radius}-{space}-{request.budget}{guard}")


def _subject(request: AuditRequest, opened: Opened, budget: Budget) -> Subject:
    """The classifier with its images, ready to be attacked."""
    claimed = opened.config.evaluation
    surrogate, surrogate_from = _surrogate(request, opened, budget)
    return Subject(
        model=opened.model.eval(),
        split=opened.data.test.first(budget.num_examples),
        compute=opened.compute,
        epsilon=request.epsilon,
        step_size=claimed.step_size if claimed.norm == "linf" else CLAIM_STEP,
        space=space_of(request.space or claimed.space, opened.config.model),
        seed=request.seed,
        batch_size=request.batch_size,
        network=None if opened.network is None or opened.network.is_whole else opened.network,
        train=opened.data.train if len(opened.data.train) else None,
        classifier=opened.classifier,
        surrogate=surrogate,
        surrogate_from=surrogate_from,
        data=opened.data.name,
    )


def _surrogate(request: AuditRequest, opened: Opened, budget: Budget) -> tuple[nn.Module | None, str]:
    """The classifier of the second checkpoint that is named, else of an earlier one of the run, and where it is from.

    A budget that affords to train a second network needs no earlier checkpoint, which is a relative of the audited one.
    """
    if request.surrogate is not None:
        return _second(request.surrogate, opened), "given"
    if budget.affords("standard") or request.source is not None:
        return None, ""
    for path in earlier_checkpoints(request.checkpoint, opened.info.step):
        # One that goes while it is read, is damaged or not trained yet is no second network; the next may be.
        with suppress(CheckpointError, DataError):
            return _second(path, opened), f"the run's own {path.name}"
    return None, ""


def _second(checkpoint: Path, opened: Opened) -> nn.Module:
    """The classifier of a second checkpoint, ready to be attacked.

    Raises:
        CheckpointError: it cannot be read, or its classifier was not trained.
        DataError: it has other classes.
    """
    info, config, network = load_trained_network(checkpoint)
    require_trained(info, config, info.classifier)
    require_same_classes(info, opened.data)
    opened.compute.place(network)
    return network.with_classifier(info.classifier)


def earlier_checkpoints(checkpoint: Path, step: int) -> tuple[Path, ...]:
    """Checkpoints of the same run, up to two thirds of the steps of the audited one, newest first."""
    if checkpoint.absolute().parent.name != "checkpoints":
        return ()
    entries: list[CheckpointEntry] = []
    with suppress(RunError):  # a folder that cannot be looked into has no second network to give
        entries = list_checkpoints(home_of(checkpoint))
    return tuple(entry.path for entry in entries if entry.info is not None and 3 * entry.info.step <= 2 * step)


def budget_of(request: AuditRequest, config: RunConfig) -> Budget:
    """What an audit affords, with the number of steps that the run's own figure rests on as the first of its steps."""
    claimed = config.evaluation
    steps = claimed.steps if claimed.norm == "linf" else BUDGETS[request.budget].steps[0]
    return budget_for(request.budget, steps, request.num_examples)


def _key(budget: Budget, subject: Subject, weights_sha256: str) -> str:
    """Hash of all that the outcome depends on."""
    surrogate = None if subject.surrogate is None else hash_tensors(subject.surrogate.state_dict())
    images = subject.split.identity()
    if subject.train is not None:
        images |= {f"train {name}": tensor for name, tensor in subject.train.identity().items()}
    made = versions()
    encoder = None if subject.network is None else subject.network.encoder
    plain: list[Any] = [] if encoder is None or isinstance(encoder, OwnEncoder) else [repr(encoder)]
    plain += [
        weights_sha256,
        [subject.classifier, subject.data],
        hash_tensors(images),
        surrogate,
        asdict(budget),
        [subject.epsilon, subject.step_size, asdict(subject.space), subject.seed, subject.batch_size],
        [subject.compute.describe(), made["torch"], made["claf-tui"], [check.name for check in CHECKS]],
    ]
    return hashlib.sha256(json.dumps(plain, default=str).encode()).hexdigest()


def _notices(request: AuditRequest, config: RunConfig, subject: Subject, store: Store) -> list[str]:
    """What a reader of the card must know besides."""
    notices = [store.notice] if store.notice else []
    if request.defence is not None:
        notices.append(f"audited behind the defence {request.defence}: every attacker here knows of it")
    claimed = config.evaluation
    if claimed.norm != "linf":
        notices.append(f"the run reported {claimed.norm.upper()} accuracy; this audit is of Linf")
    if subject.space.name != claimed.space:
        notices.append(f"the run reported its figures in {claimed.space} space; this audit is of {subject.space.name}")
    if not os.access(home_of(request.checkpoint), os.W_OK):
        notices.append(f"{home_of(request.checkpoint)} cannot be written, so that no card was kept")
    return notices


def _write(card: dict[str, Any], folder: Path | None, checkpoint: Path) -> None:
    """Write the card; one that cannot be written does not end an audit of hours, but is told."""
    if folder is None:
        return
    try:
        write_card(card, folder)
    except OSError as error:
        card["notices"].append(f"cannot keep the card of {checkpoint.name} in {folder}: {error.strerror}")
