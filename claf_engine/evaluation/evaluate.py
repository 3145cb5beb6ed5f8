"""Evaluate one checkpoint on test images: what `claf-tui eval` prints."""

import os
import time
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from claf_engine.accuracy.classes import chance_notices, class_records, unmeasured_notices
from claf_engine.accuracy.crossing import beside
from claf_engine.accuracy.curve_steps import curve_steps
from claf_engine.accuracy.defences import ADAPTIVE, Defence, defended_steps, labelled
from claf_engine.accuracy.measure import Accuracy
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.accuracy.union import over_all, union_record
from claf_engine.accuracy.universal import USUAL_IMAGES, USUAL_PASSES, UniversalSuite, suite_steps
from claf_engine.accuracy.watched import watched_steps
from claf_engine.attacks import space_of
from claf_engine.compute.device import Compute, settings_restored
from claf_engine.compute.world import World
from claf_engine.config import RunConfig
from claf_engine.data import Dataset, Split
from claf_engine.data.fingerprint import SplitName
from claf_engine.evaluation.cards import MODEL, Standing
from claf_engine.evaluation.defences import open_defence
from claf_engine.evaluation.detectors import open_watched
from claf_engine.evaluation.measured_card import keep_report_card
from claf_engine.evaluation.request import EvaluationRequest
from claf_engine.evaluation.subject import Opened, Wanted, open_source_steps, open_steps, size_notices
from claf_engine.events import RobustFigure
from claf_engine.events.ticks import Pulse, exhaust
from claf_engine.models.hashing import hash_tensors
from claf_engine.runs import versions
from claf_engine.runs.header import CheckpointInfo
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.pixels import format_levels


@dataclass(frozen=True)
class EvaluationReport:
    """Figures with what a reader needs to repeat them; `accuracy` holds fractions in [0, 1].

    `images_sha256` is that of the whole test split, which tells other images under the same name apart;
    `card` is the folder of the robustness card, or None where none could be kept; `audit` is what the figures rest on;
    `classes` are accuracies of each class (see `class_records`), `image_size` is height and
    width, and `notices` are sentences about the images, beside those of the accuracy.
    """

    request: EvaluationRequest
    info: CheckpointInfo
    classifier: str
    data: str
    device: str
    num_examples: int
    accuracy: Accuracy
    seconds: float
    card: Path | None = None
    audit: Standing = "unaudited"
    images_sha256: str = ""
    classes: tuple[Mapping[str, Any], ...] = ()
    image_size: tuple[int, int] | None = None
    notices: tuple[str, ...] = ()

    @property
    def _origin(self) -> str:
        """Where the weights are from: the checkpoint's file, or the model's, or what builds the model."""
        source = self.request.source
        return str(self.request.checkpoint if source is None else source.weights or source.model)

    @property
    def _union(self) -> dict[str, Any]:
        share, robust = self.accuracy.union, self.accuracy.robust
        return {} if share is None else {"union": union_record(share, robust, self.num_examples)}

    def to_record(self) -> dict[str, Any]:
        """The report as a JSON object; its keys are stable.

        `curve` is one of them where one was measured, `detector` where one stands beside the classifier, `union` the
        worst case over several norms, `model` where it is of no checkpoint of ours, and `weights` where these are a
        running average.
        """
        curve, model, detection = self.accuracy.curve, self.info.metadata.get(MODEL), self.accuracy.detection
        return {
            "natural_accuracy": self.accuracy.natural,
            "robust": [figure_record(figure) for figure in self.accuracy.robust],
            "defence": "none" if self.request.defence is None else str(self.request.defence),
            "num_examples": self.num_examples,
            "split": "test",
            "checkpoint": self._origin,
            "run": self.info.run,
            "step": self.info.step,
            "phase": self.info.phase,
            "classifier": self.classifier,
            "weights_sha256": self.info.weights_sha256,
            "data": self.data,
            "images_sha256": self.images_sha256,
            "device": self.device,
            "seed": self.request.seed,
            "batch_size": self.request.batch_size,
            "image_size": None if self.image_size is None else list(self.image_size),
            "classes": [dict(item) for item in self.classes],
            "seconds": round(self.seconds, 3),
            "notices": [*self.accuracy.notices, *self.notices],
            "versions": versions(),
            "card": None if self.card is None else str(self.card),
            "audit": self.audit,
            **({} if curve is None else {"curve": curve.to_record()}),
            **({} if detection is None else {"detector": detection.to_record()}),
            **self._union,
            **({} if model is None else {"model": model}),
            **({} if self.info.weights is None else {"weights": self.info.weights}),
        }


def figure_record(figure: RobustFigure) -> dict[str, Any]:
    """A robust figure as a JSON object: distances also in levels of an 8-bit image, and whether it is of a ball."""
    values = asdict(figure)
    record = {"robust_accuracy": values.pop("accuracy"), **values, "is_epsilon_ball": figure.is_in_a_ball}
    for name in ("largest_distance", "mean_distance"):
        record[f"{name}_text"] = None if record[name] is None else format_levels(record[name])
    return record


def evaluation_steps(
    request: EvaluationRequest,
    world: World = World(),  # noqa: B008 (frozen)
) -> Generator[Pulse, None, EvaluationReport]:
    """Load a checkpoint and its data, attack the test images in fp32, and report.

    Several processes share the images out, all of them call this, and the first one keeps the card.

    Raises:
        CheckpointError: the file cannot be read, or its classifier was not trained.
        DataError: the images cannot be had, have other classes or another number of channels, or were changed.
        ConfigError: the data source or the device has no such form, or AutoAttack is not installed.
        ClafError: an attack of epsilon 0 changed predictions.
    """
    if request.attack == "autoattack" and not world.is_single:
        raise ConfigError("autoattack keeps what it has done for one process; start it without torchrun")
    if request.detector is not None and not world.is_single:
        raise ConfigError("a detector is measured by one process; start it without torchrun")
    with settings_restored():
        opened = yield from _open_steps(request, world)
        if not world.is_single:
            world.require_same("the weights", hash_tensors(opened.model.state_dict()))
            world.require_same("the images", opened.data.test.sha256)
        data, config, compute, model = opened.data, opened.config, opened.compute, opened.model
        split = data.test.first(request.num_examples)
        started = time.monotonic()
        if request.is_curve:
            suite = requested_suite(request, config)
            accuracy = yield from curve_steps(model, split, data.class_names, suite, compute, request.batch_size)
        elif request.detector is not None:
            accuracy = yield from _watched_steps(request, opened, split)
        elif request.further:
            accuracy = yield from _union_steps(request, opened, split)
        else:
            asked = _asked_suite(request, config, data)
            accuracy = yield from measurement_steps(request, asked, model, split, compute)
    seconds = time.monotonic() - started
    classes = class_records(accuracy, split.labels, data.class_names)
    report = EvaluationReport(
        request,
        opened.info,
        opened.classifier,
        data.name,
        compute.describe(),
        len(split),
        accuracy,
        seconds,
        images_sha256=data.test.sha256,
        classes=tuple(classes),
        image_size=data.image_size,
        notices=(*opened.notices, *_data_notices(opened, accuracy, classes, len(split))),
    )
    return report if world.rank else _with_card(report, config)


def _open_steps(request: EvaluationRequest, world: World) -> Generator[Pulse, None, Opened]:
    """Open the checkpoint of a request, or its model."""
    splits: tuple[SplitName, ...] = ("test",) if request.detector is None else ("validation", "test")
    wanted = Wanted(request.data, splits=splits, accepts_changed=request.accepts_changed_data)
    if request.is_universal:
        wanted = replace(wanted, num_train=None, splits=("train", "test"))
    about: dict[str, Any] = {
        "classifier": request.classifier,
        "wanted": wanted,
        "device": request.device,
        "world": world,
    }
    if request.source is not None:
        return (yield from open_source_steps(request.source, **about))
    return (yield from open_steps(request.checkpoint, **about))


def _data_notices(
    opened: Opened, accuracy: Accuracy, classes: list[dict[str, Any]], num_examples: int
) -> tuple[str, ...]:
    """What the measured images say of the figures."""
    data = opened.data
    return (
        *data.notices,
        *size_notices(opened.info, data),
        *unmeasured_notices(classes),
        *chance_notices(accuracy.natural, num_examples, len(data.class_names)),
    )


def _with_card(report: EvaluationReport, config: RunConfig) -> EvaluationReport:
    """The same report, whose card was written; one that cannot be written is told and costs no figure."""
    if not report.accuracy.robust:
        return report
    try:
        card, audit = keep_report_card(report.to_record(), report.info, config, report.request.command)
    except OSError as error:
        sentence = f"no card was kept beside {report.info.path.name}: {error.strerror}"
        told = replace(report.accuracy, notices=(*report.accuracy.notices, sentence))
        return replace(report, accuracy=told)
    return replace(report, card=card, audit=audit)


def _asked_suite(request: EvaluationRequest, config: RunConfig, data: Dataset) -> AttackSuite | UniversalSuite | None:
    """The attack of a request on the network of a run's settings; None for AutoAttack, which is a library's."""
    if request.attack == "autoattack":
        return None
    return universal_suite(request, data.train) if request.is_universal else requested_suite(request, config)


def _union_steps(request: EvaluationRequest, opened: Opened, split: Split) -> Generator[Pulse, None, Accuracy]:
    """`measurement_steps` in every ball of a request, and the worst case over them per example."""
    measured: tuple[Accuracy, ...] = ()
    for each in request.in_each_ball():
        asked = _asked_suite(each, opened.config, opened.data)
        found = yield from measurement_steps(each, asked, opened.model, split, opened.compute)
        measured = (*measured, found)
    return over_all(measured)


def measurement_steps(
    request: EvaluationRequest,
    suite: AttackSuite | UniversalSuite | None,
    model: nn.Module,
    split: Split,
    compute: Compute,
) -> Generator[Pulse, None, Accuracy]:
    """Natural and robust accuracy under the attack, and behind the defence, of a request.

    Args:
        request: defence and size of batches; the rest is given by the other arguments.
        suite: the attack; None for AutoAttack.
        model: images in [0, 1] to logits.
        split: what to measure on.
        compute: where.

    Raises:
        CheckpointError: the run trained no such defence.
        ClafError: see `evaluation_steps`.
    """
    defence = None if request.defence is None else open_defence(request.defence, request.checkpoint)
    if suite is None:
        return (yield from _autoattack_steps(request, defence, model, split, compute))
    measured = yield from _suite_steps(request.batch_size, defence, model, split, suite, compute)
    crossing = suite.crossing() if request.as_paper and isinstance(suite, AttackSuite) else None
    if crossing is None:
        return measured
    return beside(measured, (yield from _suite_steps(request.batch_size, defence, model, split, crossing, compute)))


def _suite_steps(
    batch_size: int,
    defence: Defence | None,
    model: nn.Module,
    split: Split,
    suite: AttackSuite | UniversalSuite,
    compute: Compute,
) -> Generator[Pulse, None, Accuracy]:
    """Accuracy under one attack, behind a defence."""
    if defence is None:
        return (yield from suite_steps(model, split, suite, compute, batch_size))
    return (yield from defended_steps(model, defence, split, suite, compute, batch_size))


def _watched_steps(request: EvaluationRequest, opened: Opened, split: Split) -> Generator[Pulse, None, Accuracy]:
    """Accuracy with the request's detector beside the classifier, behind the request's defence."""
    assert request.detector is not None
    compute = opened.compute
    guards = request.detector, request.defence
    watched = replace(open_watched(guards, opened.model, request.checkpoint, compute), wanted_rate=request.wanted_rate)
    suite, validation = requested_suite(request, opened.config), opened.data.validation
    return (yield from watched_steps(watched, validation, split, suite, compute, request.batch_size))


def requested_suite(request: EvaluationRequest, config: RunConfig) -> AttackSuite:
    """The attack of a request, which is not AutoAttack, on the network of a run's settings."""
    assert request.attack != "autoattack"
    return AttackSuite(
        request.epsilons,
        request.steps,
        request.step_size,
        1 if request.restarts is None else request.restarts,
        request.seed,
        request.attack,
        request.norm,
        space_of(request.space, config.model),
        request.decides or "last",
    )


def universal_suite(request: EvaluationRequest, train: Split) -> UniversalSuite:
    """The universal perturbation of a request, which is crafted on the first training images.

    Raises:
        ConfigError: there are none, or fewer than were asked for.
    """
    if request.crafted_on is not None and request.crafted_on > len(train):
        raise ConfigError(f"--crafted-on {request.crafted_on}: there are {len(train)} training images; give fewer")
    return UniversalSuite(
        request.epsilons,
        train.first(min(len(train), request.crafted_on or USUAL_IMAGES)),
        request.attack,
        request.norm,
        USUAL_PASSES if request.steps is None else request.steps,
        request.step_size,
        1 if request.restarts is None else request.restarts,
        request.seed,
    )


def evaluate(request: EvaluationRequest) -> EvaluationReport:
    """`evaluation_steps` without the pulses.

    Raises:
        ClafError: see `evaluation_steps`.
    """
    return exhaust(evaluation_steps(request))


def autoattack_folder(checkpoint: Path) -> Path | None:
    """Where AutoAttack keeps what it has done, so that it can go on: beside the checkpoint, or nowhere."""
    if not os.access(checkpoint.parent, os.W_OK):
        return None
    return checkpoint.with_name(f"{checkpoint.name}.autoattack")


def _autoattack_steps(
    request: EvaluationRequest, defence: Defence | None, model: nn.Module, split: Split, compute: Compute
) -> Generator[Pulse, None, Accuracy]:
    """AutoAttack; behind a defence it is the adaptive attacker, because it crafts and judges with one model."""
    from claf_engine.accuracy.autoattack import AutoAttackSuite, autoattack_steps

    suite = AutoAttackSuite(request.epsilons, request.norm, request.seed)
    folder = autoattack_folder(request.checkpoint)
    if defence is None:
        return (yield from autoattack_steps(model, split, suite, compute, request.batch_size, folder))
    defended = defence.guarded(model)
    compute.place(defended)
    measured = yield from autoattack_steps(defended, split, suite, compute, request.batch_size, folder)
    return labelled(measured, defence, ADAPTIVE)
