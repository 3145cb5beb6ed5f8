"""What a row measures: one attack on the test images, once for each network, whoever asks for it."""

import hashlib
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from claf_engine.accuracy.autoattack_library import require_library
from claf_engine.accuracy.defences import ADAPTIVE
from claf_engine.accuracy.measure import Accuracy
from claf_engine.compute.device import settings_restored
from claf_engine.config import DataConfig
from claf_engine.data import Dataset, dataset_steps
from claf_engine.data.fingerprint import SplitName
from claf_engine.evaluation.evaluate import figure_record
from claf_engine.evaluation.measured_card import command_line, facts, keep_evaluation_card
from claf_engine.evaluation.subject import Wanted, open_steps
from claf_engine.events import RobustFigure
from claf_engine.events.records import build
from claf_engine.events.ticks import Pulse
from claf_engine.reproduce.rows import Column
from claf_engine.reproduce.stored import key_of, packed, read_stored, store, unpacked
from claf_engine.reproduce.systems import WORST_OF, attacked_steps, space_named, system_of
from claf_engine.runs import read_config, versions
from claf_engine.runs.header import read_info
from claf_engine.terms.errors import ConfigError, RunError
from claf_engine.terms.pixels import format_distance
from claf_engine.training.checkpoint import load_trained_network

MEASUREMENTS = "measurements"
FORMAT = 2


@dataclass(frozen=True)
class Subject:
    """What is measured: a classifier of a checkpoint; `chosen` says why it is this one.

    `precision` is that of its training, where the checkpoint tells it; `system` is what stands before the network, see
    `Row`.
    """

    checkpoint: Path
    classifier: str
    weights_sha256: str
    chosen: str
    precision: str = ""
    system: str = ""


@dataclass(frozen=True)
class Measurement:
    """Accuracy on the test images under one attack, with what a reader needs to repeat it.

    `right` and `survivors` are the images that the model gets right without and under the attack, see `stored.packed`.
    """

    natural: float
    robust: RobustFigure
    subject: Subject
    data: str
    device: str
    seconds: float
    versions: dict[str, str]
    right: str
    survivors: str
    notices: tuple[str, ...] = ()

    def outcomes(self, *, natural: bool = False) -> Tensor:
        """Which of the images (N,) the model gets right under the attack, or without it; bool."""
        return unpacked(self.right if natural else self.survivors, self.robust.num_examples)

    @property
    def outcomes_sha256(self) -> str:
        """Hash of all outcomes."""
        return hashlib.sha256(f"{self.right} {self.survivors}".encode()).hexdigest()


class Measurer:
    """Measures subjects; remembers the images that it used last, and on disk everything that it measured."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / MEASUREMENTS
        self._images: tuple[DataConfig, tuple[SplitName, ...], Dataset] | None = None

    def missing(self, subject: Subject, data: DataConfig, columns: Iterable[Column]) -> tuple[Column, ...]:
        """The columns that a subject has not been measured under yet, on these test images."""
        return tuple(column for column in columns if _known(self._file(subject, data, column), subject) is None)

    def measure_steps(self, subject: Subject, column: Column) -> Generator[Pulse, None, Measurement]:
        """Measure a subject under the attack of a column, or find that it was done.

        Raises:
            CheckpointError: the checkpoint cannot be read.
            ConfigError: AutoAttack is not installed.
            DataError: the images cannot be had, have other classes, or are not those that the run was trained with.
            RunError: the measurement cannot be written.
            ClafError: the attack is broken.
        """
        file = self._file(subject, load_trained_network(subject.checkpoint).config.data, column)
        known = _known(file, subject)
        if known is not None:
            return known
        started = time.monotonic()
        with settings_restored():
            opened = yield from open_steps(
                subject.checkpoint,
                classifier=subject.classifier,
                wanted=Wanted(splits=system_of(subject.system).splits),
                load_images=self._load_images,
            )
            accuracy = yield from attacked_steps(opened, subject.checkpoint, subject.system, column)
        assert accuracy.correct is not None, "every measurement of a whole split tells it"
        found = Measurement(
            accuracy.natural,
            accuracy.robust[0],
            subject,
            opened.data.name,
            opened.compute.describe(),
            round(time.monotonic() - started, 3),
            versions(),
            packed(accuracy.correct),
            packed(accuracy.outcomes[0]),
            (*opened.data.notices, *opened.notices, *_told_by_autoattack(accuracy, subject, column)),
        )
        store(file, {**asdict(found), "subject": {**asdict(subject), "checkpoint": str(subject.checkpoint)}})
        return found

    def _file(self, subject: Subject, data: DataConfig, column: Column) -> Path:
        """Equal only where weights, classifier, what stands before the network, images and attack are."""
        plain = [
            FORMAT,
            subject.weights_sha256,
            subject.classifier,
            data.model_dump(mode="json"),
            [column.attack, column.steps, str(column.epsilon), str(column.step_size), column.num_examples],
            asdict(space_named(column.space)),
            *_told_apart(column, subject.system),
        ]
        return self._directory / f"{key_of(plain)}.json"

    def _load_images(
        self, config: DataConfig, device: torch.device, splits: tuple[SplitName, ...]
    ) -> Generator[Pulse, None, Dataset]:
        if self._images is None or self._images[:2] != (config, splits):
            self._images = config, splits, (yield from dataset_steps(config, device, splits))
        return self._images[2]


def why_not_measured(columns: Iterable[Column]) -> dict[Column, str]:
    """The columns that cannot be measured on this machine, each with a sentence that says why and what to do."""
    needed = [column for column in columns if column.attack == "autoattack"]
    try:
        if needed:
            require_library()
    except ConfigError as error:
        return {
            column: f"{column.title} was not measured: {error}; or leave it out, --autoattack 0" for column in needed
        }
    return {}


def _told_apart(column: Column, system: str) -> list[Any]:
    """What of an attack tells measurements apart only where it is not the usual."""
    more = [column.restarts, column.decides, column.knowledge, system]
    return [] if more == [1, "last", "", ""] else [more]


def _told_by_autoattack(accuracy: Accuracy, subject: Subject, column: Column) -> list[str]:
    """What AutoAttack says of the figure; where it kept its state says nothing of that."""
    folder = str(subject.checkpoint.parent)
    return [text for text in accuracy.notices if column.attack == "autoattack" and folder not in text]


def _known(file: Path, subject: Subject) -> Measurement | None:
    """A measurement made before; None when there is none, or it is damaged and has to be made again."""

    def measurement(record: Mapping[str, Any]) -> Measurement:
        found = Measurement(
            natural=float(record["natural"]),
            robust=build(RobustFigure, record["robust"]),
            subject=subject,
            data=str(record["data"]),
            device=str(record["device"]),
            seconds=float(record["seconds"]),
            versions=dict(record["versions"]),
            right=str(record["right"]),
            survivors=str(record["survivors"]),
            notices=tuple(map(str, record.get("notices", ()))),
        )
        for is_natural, told in ((True, found.natural), (False, found.robust.accuracy)):
            if abs(float(found.outcomes(natural=is_natural).double().mean()) - told) > 1e-6:
                raise ValueError("the outcomes are of another figure")
        return found

    return read_stored(file, measurement)


def worst_case(column: Column, measurements: Sequence[Measurement]) -> Measurement:
    """Which images a subject gets right naturally and under every attack that was tried on each of them.

    Args:
        column: what the figure stands under.
        measurements: of one subject, at least one; some may be of the first so many images alone.
    """
    first = max(measurements, key=lambda each: each.robust.num_examples)
    stands = first.outcomes(natural=True)
    for each in measurements:
        stands[: each.robust.num_examples] &= each.outcomes()
    distances = [each.robust.largest_distance for each in measurements if each.robust.largest_distance is not None]
    figure = replace(
        first.robust,
        epsilon=format_distance(column.epsilon),
        accuracy=float(stands.double().mean()),
        attack=WORST_OF,
        steps=0,
        step_size="own",
        restarts=len(measurements),
        knowledge=ADAPTIVE if first.subject.system else first.robust.knowledge,
        largest_distance=max(distances, default=None),
        mean_distance=None,
        decides="own",
        notice="",
    )
    return replace(first, robust=figure, seconds=0.0, survivors=packed(stands), notices=())


def keep_cards(run: Path, measurements: Sequence[Measurement], command: Sequence[str]) -> list[Path]:
    """Write the cards of a run's measurements, all of one classifier, below the run: one for each space and number of
    images, that of the first measurement last.

    Args:
        run: its folder.
        measurements: one for each column.
        command: the command line that reproduces the table.

    Returns:
        The folders of the cards.

    Raises:
        CheckpointError: the checkpoint cannot be read any more.
        RunError: the run's settings cannot be read, or a card cannot be written.
    """
    order = sorted((each for each in measurements if each.robust.attack != WORST_OF), key=_card_of)
    cards = [list(group) for _, group in groupby(order, _card_of)]
    cards.sort(key=lambda group: measurements[0] in group)
    return [_keep_card(run, group, command) for group in cards]


def _card_of(measurement: Measurement) -> tuple[str, int]:
    return measurement.robust.space, measurement.robust.num_examples


def _keep_card(run: Path, measurements: Sequence[Measurement], command: Sequence[str]) -> Path:
    first = measurements[0]
    info = read_info(first.subject.checkpoint)
    about = {
        **facts(info, read_config(run), first.subject.classifier),
        "data": first.data,
        "device": first.device,
        "seed": first.robust.seed,
        "seconds": round(sum(item.seconds for item in measurements), 3),
        "versions": first.versions,
        "notices": list(
            dict.fromkeys(text for item in measurements for text in (*item.notices, item.robust.notice) if text)
        ),
        "command": command_line(command),
    }
    robust = [figure_record(item.robust) for item in measurements]
    try:
        return keep_evaluation_card(first.natural, robust, first.robust.num_examples, about, info.path)
    except OSError as error:
        raise RunError(
            f"cannot write the card of {run.name}: {error.strerror}; make room and reproduce again"
        ) from error
