"""Evaluate one checkpoint on test images: what `claf-tui eval` prints."""

import os
import time
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

from torch import nn

from claf_engine.accuracy.classes import chance_notices, class_records, unmeasured_notices
from claf_engine.accuracy.curve_steps import curve_steps, require_curve
from claf_engine.accuracy.defences import ADAPTIVE, Defence, Defended, defended_steps, labelled
from claf_engine.accuracy.measure import Accuracy, accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import space_of
from claf_engine.attacks.registered import require_registered
from claf_engine.compute.device import Compute, settings_restored
from claf_engine.compute.world import World
from claf_engine.config import RunConfig
from claf_engine.config.registry import ATTACKS
from claf_engine.data import Split
from claf_engine.evaluation.cards import MODEL, Standing
from claf_engine.evaluation.measured_card import keep_report_card
from claf_engine.evaluation.model_source import ModelSource
from claf_engine.evaluation.subject import Opened, Wanted, open_source_steps, open_steps, size_notices
from claf_engine.events import RobustFigure
from claf_engine.events.ticks import Pulse, exhaust
from claf_engine.models.hashing import hash_tensors
from claf_engine.runs import versions
from claf_engine.runs.header import CheckpointInfo
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import EvaluationAttack, Norm, PointName, SpaceName
from claf_engine.terms.pixels import exact_distance, format_levels

DEFAULT_STEPS = 10
IGNORED = {
    "fgsm": ("takes one step of epsilon from the image itself", ("steps", "step_size", "restarts", "decides")),
    "mi-fgsm": ("starts from the image itself, so that all its runs are the same", ("restarts",)),
    "autoattack": ("sets its own steps and restarts", ("steps", "step_size", "restarts", "decides")),
}
"""What is peculiar to an attack, and the fields of a request that it therefore has no use for."""
OF_A_PLUGIN = ("of a plugin sets its own steps, the last of which decides", ("steps", "step_size", "decides"))
"""The same of every attack that a plugin registers."""


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate and how.

    Attributes:
        checkpoint: the file; of a model that no run of ours trained, its `place`.
        epsilons: radii, as fractions, floats or text such as "8/255"; in pixel space unless `space` says otherwise. 0
            is allowed and must give natural accuracy.
        attack: pgd, fgsm, mi-fgsm, autoattack or the name that a plugin registers.
        steps: attack steps; None is 10, where the attack does not set its own.
        step_size: length of one; None is the attack's own (see `make_attack`).
        restarts: independent attacks; an example counts as robust only if all fail; None is 1.
        decides: last or any point of each (see `AttackSuite`); None is last.
        norm: of the ball, linf or l2.
        space: pixel, or released-code, whose figures are not accuracy in an epsilon-ball.
        defence: stands before the classifier, which is then attacked with and without knowledge of it.
        num_examples: test images, in the order of the split, which holds the classes in proportion; None is all.
        data: another source than the run's.
        classifier: attack, natural or adversarial; None is the one that the checkpoint was measured with.
        batch_size: examples attacked at once.
        seed: of the random starts.
        device: auto, cpu, cuda or cuda:N.
        command: the command line, for the card.
        accepts_changed_data: measure although the run's test images are not those that it was trained with.
        source: a model that no run of ours trained, in place of a checkpoint.
        is_curve: measure the radii as one curve (see `claf_engine.accuracy.curve_steps`) instead of each for itself.

    Raises:
        ConfigError: a distance is none, there is no such attack, an option is given that it would ignore, it does not
            exist in the norm or the space, or no curve is measured of it.
    """

    checkpoint: Path
    epsilons: tuple[Fraction, ...] = (Fraction(8, 255), Fraction(16, 255))
    attack: str = "pgd"
    steps: int | None = None
    step_size: Fraction | None = None
    restarts: int | None = None
    decides: PointName | None = None
    norm: Norm = "linf"
    space: SpaceName = "pixel"
    defence: Defence | None = None
    num_examples: int | None = None
    data: str | None = None
    classifier: str | None = None
    batch_size: int = 250
    seed: int = 0
    device: str = "auto"
    command: tuple[str, ...] = ()
    is_curve: bool = False
    accepts_changed_data: bool = False
    source: ModelSource | None = None

    def __post_init__(self) -> None:
        self._write_exactly()
        is_ours = self.attack in get_args(EvaluationAttack)
        if not is_ours:
            if self.attack not in ATTACKS.entries:
                raise ConfigError(f"--attack: {ATTACKS.complaint(self.attack)}")
            require_registered(self.attack, self.norm, self.space)
        peculiarity, ignored = IGNORED.get(self.attack, ("", ()) if is_ours else OF_A_PLUGIN)
        for name in ignored:
            if getattr(self, name) is not None:
                raise ConfigError(f"{self.attack} {peculiarity}; leave out --{name.replace('_', '-')}")
        if self.source is not None and self.space != "pixel":
            raise ConfigError(
                f"--space {self.space} attacks what a network of ours normalises by, and --model is none; leave it out"
            )
        if self.attack == "autoattack" and self.space != "pixel":
            raise ConfigError(
                f"autoattack searches an epsilon-ball, and --space {self.space} has none; use --attack pgd there"
            )
        if self.is_curve:
            require_curve(self.attack, self.defence, len(self.epsilons))

    def _write_exactly(self) -> None:
        """Take distances as a script writes them, as floats or text, and keep them as fractions."""
        object.__setattr__(self, "epsilons", tuple(exact_distance(epsilon, self.norm) for epsilon in self.epsilons))
        if self.step_size is not None:
            object.__setattr__(self, "step_size", exact_distance(self.step_size, self.norm))


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

    def to_record(self) -> dict[str, Any]:
        """The report as a JSON object; its keys are stable.

        `curve` is one of them where one was measured, `model` where it is of no checkpoint of ours, and `weights` where
        these are a running average.
        """
        curve, model = self.accuracy.curve, self.info.metadata.get(MODEL)
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
        else:
            accuracy = yield from measurement_steps(request, config, model, split, compute)
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
    wanted = Wanted(request.data, accepts_changed=request.accepts_changed_data)
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


def measurement_steps(
    request: EvaluationRequest, config: RunConfig, model: nn.Module, split: Split, compute: Compute
) -> Generator[Pulse, None, Accuracy]:
    """Natural and robust accuracy under the attack, and behind the defence, of a request.

    Args:
        request: attack, radii, space and defence; the rest is given by the other arguments.
        config: of the run, for what its network normalises by.
        model: images in [0, 1] to logits.
        split: what to measure on.
        compute: where.

    Raises:
        ClafError: see `evaluation_steps`.
    """
    if request.attack == "autoattack":
        return (yield from _autoattack_steps(request, model, split, compute))
    suite = requested_suite(request, config)
    if request.defence is None:
        return (yield from accuracy_steps(model, split, suite, compute, request.batch_size))
    return (yield from defended_steps(model, request.defence, split, suite, compute, request.batch_size))


def requested_suite(request: EvaluationRequest, config: RunConfig) -> AttackSuite:
    """The attack of a request, which is not AutoAttack, on the network of a run's settings."""
    assert request.attack != "autoattack"
    return AttackSuite(
        request.epsilons,
        DEFAULT_STEPS if request.steps is None else request.steps,
        request.step_size,
        1 if request.restarts is None else request.restarts,
        request.seed,
        request.attack,
        request.norm,
        space_of(request.space, config.model),
        request.decides or "last",
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
    request: EvaluationRequest, model: nn.Module, split: Split, compute: Compute
) -> Generator[Pulse, None, Accuracy]:
    """AutoAttack; behind a defence it is the adaptive attacker, because it crafts and judges with one model."""
    from claf_engine.accuracy.autoattack import AutoAttackSuite, autoattack_steps

    suite = AutoAttackSuite(request.epsilons, request.norm, request.seed)
    folder = autoattack_folder(request.checkpoint)
    if request.defence is None:
        return (yield from autoattack_steps(model, split, suite, compute, request.batch_size, folder))
    defended = Defended(model, request.defence)
    measured = yield from autoattack_steps(defended, split, suite, compute, request.batch_size, folder)
    return labelled(measured, request.defence, ADAPTIVE)
