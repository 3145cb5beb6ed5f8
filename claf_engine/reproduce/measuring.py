"""What a row measures: one attack on the test images, once for each network, whoever asks for it.

A measurement is kept under a name made of everything that it depends on, so that a killed reproduction, or another
table with the same row, finds it again.
"""

import hashlib
import json
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import PIXEL, Space, space_of
from claf_engine.compute.device import settings_restored
from claf_engine.config import DataConfig
from claf_engine.config.presets import resolve_config
from claf_engine.data import Dataset, dataset_steps
from claf_engine.data.fingerprint import SplitName
from claf_engine.evaluation.evaluate import figure_record
from claf_engine.evaluation.measured_card import command_line, facts, keep_evaluation_card
from claf_engine.evaluation.subject import open_steps
from claf_engine.events import RobustFigure
from claf_engine.events.records import build
from claf_engine.events.ticks import Pulse
from claf_engine.reproduce.tables import STEP_SIZE, Column, Row
from claf_engine.runs import list_checkpoints, read_config, summarise, versions
from claf_engine.runs.durable import write_atomically
from claf_engine.runs.foreign import CARD_CAP, read_object
from claf_engine.runs.header import read_info
from claf_engine.terms.errors import CheckpointError, ForeignFileError, RunError
from claf_engine.terms.names import SpaceName
from claf_engine.training.checkpoint import load_trained_network

MEASUREMENTS = "measurements"
FORMAT = 1


@dataclass(frozen=True)
class Subject:
    """What is measured: a classifier of a checkpoint; `chosen` says why it is this one."""

    checkpoint: Path
    classifier: str
    weights_sha256: str
    chosen: str


@dataclass(frozen=True)
class Measurement:
    """Accuracy on the test images under one attack, with what a reader needs to repeat it."""

    natural: float
    robust: RobustFigure
    subject: Subject
    data: str
    device: str
    seconds: float
    versions: dict[str, str]
    notices: tuple[str, ...] = ()


def subject_of(directory: Path, row: Row) -> Subject:
    """The checkpoint and classifier that a row stands for.

    A row about one classifier takes it from the last state, as the paper does. Otherwise the finished run has chosen
    checkpoint and classifier by robust accuracy on validation images.

    Raises:
        CheckpointError: the run has no checkpoint that can be read.
    """
    entries = [entry for entry in list_checkpoints(directory) if entry.info is not None]
    if not entries:
        raise CheckpointError(f"run {directory.name} has no checkpoint that can be read; delete its folder")
    wanted, classifier, why = "last", row.classifier, f"the row is about the {row.classifier} classifier"
    if classifier is None:
        wanted, classifier = _selected(directory)
        why = "highest robust accuracy on validation images"
    entry = next((entry for entry in entries if wanted in entry.kept_as), entries[0])
    assert entry.info is not None, "filtered above"
    return Subject(entry.path, classifier or entry.info.classifier, entry.info.weights_sha256, f"{wanted}: {why}")


class Measurer:
    """Measures subjects; remembers the images that it used last, and on disk everything that it measured."""

    def __init__(self, directory: Path, space: SpaceName) -> None:
        self._directory = directory / MEASUREMENTS
        self._space = PIXEL if space == "pixel" else space_of(space, resolve_config(space, None).model)
        self._images: tuple[DataConfig, Dataset] | None = None

    def missing(self, subject: Subject, data: DataConfig, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        """The columns that a subject has not been measured under yet, on these test images."""
        return tuple(column for column in columns if _read(self._file(subject, data, column), subject) is None)

    def measure_steps(self, subject: Subject, column: Column) -> Generator[Pulse, None, Measurement]:
        """Measure a subject under the attack of a column, or find that it was done.

        Raises:
            CheckpointError: the checkpoint cannot be read.
            DataError: the images cannot be had, have other classes, or are not those that the run was trained with.
            RunError: the measurement cannot be written.
            ClafError: the attack is broken.
        """
        file = self._file(subject, load_trained_network(subject.checkpoint).config.data, column)
        known = _read(file, subject)
        if known is not None:
            return known
        started = time.monotonic()
        with settings_restored():
            opened = yield from open_steps(
                subject.checkpoint, classifier=subject.classifier, load_images=self._load_images
            )
            suite = AttackSuite((column.epsilon,), column.steps, STEP_SIZE, space=self._space)
            accuracy = yield from accuracy_steps(opened.model, opened.data.test, suite, opened.compute)
        found = Measurement(
            accuracy.natural,
            accuracy.robust[0],
            subject,
            opened.data.name,
            opened.compute.describe(),
            round(time.monotonic() - started, 3),
            versions(),
            (*opened.data.notices, *opened.notices),
        )
        _write(file, found)
        return found

    def _file(self, subject: Subject, data: DataConfig, column: Column) -> Path:
        return self._directory / f"{_key(subject, data, column, self._space)}.json"

    def _load_images(
        self, config: DataConfig, device: torch.device, splits: tuple[SplitName, ...]
    ) -> Generator[Pulse, None, Dataset]:
        if self._images is None or self._images[0] != config:
            self._images = config, (yield from dataset_steps(config, device, splits))
        return self._images[1]


def _selected(directory: Path) -> tuple[str, str | None]:
    """Which checkpoint, and which classifier, the finished run chose on validation images."""
    results = summarise(directory).record.get("results")
    try:
        chosen = next(result for result in results or () if result["selected"])
        return str(chosen["checkpoint"]), str(chosen["classifier"])
    except (StopIteration, KeyError, TypeError):
        return "best", None


def _key(subject: Subject, data: DataConfig, column: Column, space: Space) -> str:
    """Equal only where weights, classifier, images and attack are."""
    plain = [
        FORMAT,
        subject.weights_sha256,
        subject.classifier,
        data.model_dump(mode="json"),
        column.steps,
        str(column.epsilon),
        str(STEP_SIZE),
        asdict(space),
    ]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:24]


def _read(file: Path, subject: Subject) -> Measurement | None:
    """A measurement made before; None when there is none, or it is damaged and has to be made again."""
    try:
        record = read_object(file, CARD_CAP)
        return Measurement(
            natural=float(record["natural"]),
            robust=build(RobustFigure, record["robust"]),
            subject=subject,
            data=str(record["data"]),
            device=str(record["device"]),
            seconds=float(record["seconds"]),
            versions=dict(record["versions"]),
            notices=tuple(map(str, record.get("notices", ()))),
        )
    except (ForeignFileError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _write(file: Path, measurement: Measurement) -> None:
    record: dict[str, Any] = asdict(measurement)
    record["subject"]["checkpoint"] = str(measurement.subject.checkpoint)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(record, indent=1).encode())
    except OSError as error:
        raise RunError(f"cannot write {file}: {error.strerror}; make room and reproduce again") from error


def keep_card(run: Path, measurements: Sequence[Measurement], command: Sequence[str]) -> Path:
    """Write the card of a run's measurements, all of one classifier, below the run.

    Args:
        run: its folder.
        measurements: one for each column, at least one.
        command: the command line that reproduces the table.

    Returns:
        The folder of the card.

    Raises:
        CheckpointError: the checkpoint cannot be read any more.
        RunError: the run's settings cannot be read, or the card cannot be written.
    """
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
