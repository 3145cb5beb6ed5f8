"""Evaluate one checkpoint on test images: what `claf-tui eval` prints."""

import time
from collections.abc import Generator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from claf_engine.accuracy import Accuracy, AttackSuite, accuracy_steps, first
from claf_engine.checkpoint import load_trained_network
from claf_engine.config import DataConfig, RunConfig, RuntimeConfig
from claf_engine.data import Dataset, dataset_steps
from claf_engine.device import choose_compute
from claf_engine.errors import CheckpointError, ConfigError, DataError
from claf_engine.inspect import CheckpointInfo
from claf_engine.models import CLASSIFIERS
from claf_engine.runs import versions
from claf_engine.ticks import Pulse, exhaust


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate and how.

    Attributes:
        checkpoint: the file.
        epsilons: radii in pixel space; 0 is allowed and must give natural accuracy.
        steps: attack steps.
        step_size: length of one, in pixel space.
        restarts: independent attacks; an example counts as robust only if all fail.
        num_examples: test images, in the order of the split, which holds the classes in proportion; None is all.
        data: another source than the run's.
        classifier: attack, natural or adversarial; None is the one that the checkpoint was measured with.
        batch_size: examples attacked at once.
        seed: of the random starts.
        device: auto, cpu, cuda or cuda:N.
    """

    checkpoint: Path
    epsilons: tuple[Fraction, ...] = (Fraction(8, 255), Fraction(16, 255))
    steps: int = 10
    step_size: Fraction = Fraction(2, 255)
    restarts: int = 1
    num_examples: int | None = None
    data: str | None = None
    classifier: str | None = None
    batch_size: int = 250
    seed: int = 0
    device: str = "auto"


@dataclass(frozen=True)
class EvaluationReport:
    """Figures with what a reader needs to repeat them; `accuracy` holds fractions in [0, 1]."""

    request: EvaluationRequest
    info: CheckpointInfo
    classifier: str
    data: str
    device: str
    num_examples: int
    accuracy: Accuracy
    seconds: float

    def to_record(self) -> dict[str, Any]:
        """The report as a JSON object; its keys are stable."""
        robust = [{"robust_accuracy": item.accuracy, **asdict(item)} for item in self.accuracy.robust]
        for item in robust:
            del item["accuracy"]
        return {
            "natural_accuracy": self.accuracy.natural,
            "robust": robust,
            "num_examples": self.num_examples,
            "split": "test",
            "checkpoint": str(self.request.checkpoint),
            "run": self.info.run,
            "step": self.info.step,
            "phase": self.info.phase,
            "classifier": self.classifier,
            "weights_sha256": self.info.weights_sha256,
            "data": self.data,
            "device": self.device,
            "seed": self.request.seed,
            "seconds": round(self.seconds, 3),
            "versions": versions(),
        }


def evaluation_steps(request: EvaluationRequest) -> Generator[Pulse, None, EvaluationReport]:
    """Load a checkpoint and its data, attack the test images in fp32, and report.

    Raises:
        CheckpointError: the file cannot be read, or lacks the classifier.
        DataError: the images cannot be had, or have other classes or another number of channels.
        ConfigError: the data source or the device has no such form.
        ClafError: an attack of epsilon 0 changed predictions.
    """
    info, config, network = load_trained_network(request.checkpoint)
    classifier = request.classifier or info.classifier
    if classifier not in CLASSIFIERS:
        raise CheckpointError(f"there is no classifier {classifier!r}; a checkpoint has {', '.join(CLASSIFIERS)}")
    compute = choose_compute(RuntimeConfig(device=request.device, threads=config.runtime.threads))
    data = yield from dataset_steps(_data_config(config, request), compute.device)
    _require_same_classes(info, data)
    compute.place(network)
    split = first(data.test, request.num_examples)
    suite = AttackSuite(request.epsilons, request.steps, request.step_size, request.restarts, request.seed)
    started = time.monotonic()
    model = network.with_classifier(classifier)
    accuracy = yield from accuracy_steps(model, split, suite, compute, request.batch_size)
    seconds = time.monotonic() - started
    return EvaluationReport(request, info, classifier, data.name, compute.describe(), len(split), accuracy, seconds)


def evaluate(request: EvaluationRequest) -> EvaluationReport:
    """`evaluation_steps` without the pulses.

    Raises:
        ClafError: see `evaluation_steps`.
    """
    return exhaust(evaluation_steps(request))


def _data_config(config: RunConfig, request: EvaluationRequest) -> DataConfig:
    if request.data is None:
        return config.data
    try:
        # Only the test split is looked at, and another source may have fewer images to train on.
        sizes = {"num_train": 1, "num_validation": 1, "num_test": None}
        return DataConfig.model_validate({**config.data.model_dump(), "source": request.data, **sizes})
    except ValueError as error:
        raise ConfigError(f"--data {request.data}: use shapes, cifar10 or folder:PATH") from error


def _require_same_classes(info: CheckpointInfo, data: Dataset) -> None:
    trained = tuple(info.metadata["claf.class_names"])
    if trained != data.class_names:
        raise DataError(
            f"the checkpoint was trained on classes {', '.join(trained[:4])}, ..., but {data.name} has "
            f"{', '.join(data.class_names[:4])}, ...; choose the data it was trained on"
        )
