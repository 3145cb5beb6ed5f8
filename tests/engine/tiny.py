"""A run so small that a test can afford it: 4 classes of 8x8 images, one residual block."""

import dataclasses
import hashlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch

from claf_engine import events as ev
from claf_engine.compute.device import Compute
from claf_engine.config import RunConfig
from claf_engine.data import Dataset, Split
from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse, Tick
from claf_engine.models.hashing import hash_tensors
from claf_engine.models.network import NATURAL
from claf_engine.runs import RunDirectory, create_run
from claf_engine.training.checkpoint import state_tensors
from claf_engine.training.methods import feature_epochs, phases_of
from claf_engine.training.phases.objectives import natural_loss
from claf_engine.training.phases.supervised import supervised
from claf_engine.training.run import run
from claf_engine.training.session import Session
from claf_engine.training.state import TrainState, begin

CPU = torch.device("cpu")
FP32 = Compute(CPU, "fp32", 1)

Result = TypeVar("Result")
React = Callable[[ev.Event, Control], None]


def tiny_config(**changes: Any) -> RunConfig:
    """The configuration of a tiny run; `changes` replace whole sections or single settings by dotted key."""
    plain: dict[str, Any] = {
        "batch_size": 8,
        "data": {"num_train": 24, "num_validation": 16, "num_test": 16},
        "model": {"width": 4, "blocks": [1], "projection_hidden": 8, "projection_dim": 4},
        "features_optimizer": {"learning_rate": 0.05},
        "attack": {"steps": 2},
        "contrastive": {"epochs": 2, "temperature": 0.2},
        "adversarial": {"epochs": 2, "classifier_epochs": 1},
        "linear_evaluation": {"epochs": 2, "adversarial_epochs": 1, "adversarial_steps": 2},
        "supervised": {"epochs": 2},
        "rocl": {"epochs": 2},
        "acl": {"epochs": 2},
        "rectifier": {
            "num_perturbations": 2,
            "perturbation_epochs": 1,
            "num_synthetic": 2,
            "width": 4,
            "blocks": 1,
            "epochs": 2,
            "detector_epochs": 2,
        },
        "defense_gan": {"epochs": 2, "latent": 4, "width": 2, "critic_steps": 2},
        "pretext": {"epochs": 2},
        "union": {
            "steps": 2,
            "linf": {"epsilon": "8/255", "step_size": "8/255"},
            "l2": {"epsilon": "1/2", "step_size": "1/4"},
            "l1": {"epsilon": 2, "step_size": 1},
        },
        "probe": {"every_epochs": 1, "num_examples": 8, "steps": 2, "fit_epochs": 1},
        "evaluation": {"steps": 2},
        "checkpoint": {"min_seconds": 0},
        "runtime": {"threads": 1, "precision": "fp32", "layout": "channels_last", "log_every": 1},
    }
    for key, value in changes.items():
        *sections, last = key.split("__")
        place = plain
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return RunConfig.model_validate(plain)


def tiny_data(
    num_train: int = 24, num_other: int = 16, side: int = 8, num_classes: int = 4, channels: int = 3
) -> Dataset:
    """Random images, each tinted by its class."""
    generator = torch.Generator().manual_seed(3)

    def split(count: int) -> Split:
        labels = torch.arange(count) % num_classes
        images = torch.randint(0, 128, (count, channels, side, side), generator=generator)
        images[torch.arange(count), labels % channels] += 30 * (1 + labels // channels).view(-1, 1, 1)
        return Split(images.to(torch.uint8), labels)

    names = tuple(f"class {index}" for index in range(num_classes))
    return Dataset("tiny", names, split(num_train), split(num_other), split(num_other))


def tiny_session(config: RunConfig | None = None, data: Dataset | None = None) -> Session:
    """A session at its beginning, in one thread: more of them only wait for each other over work this small."""
    torch.set_num_threads(FP32.threads)
    config = config or tiny_config()
    data = data or tiny_data()
    return Session(config, FP32, data, begin(config, len(data.class_names), FP32), feature_epochs(phases_of(config)))


def natural_training(session: Session) -> Iterator[Tick]:
    """The phase of the method "natural"."""
    return supervised(session, natural_loss, NATURAL, "cross_entropy")


def exhaust(steps: Generator[Pulse, None, Result]) -> tuple[list[Pulse], Result]:
    """All pulses of a measurement, and its result."""
    pulses = []
    while True:
        try:
            pulses.append(next(steps))
        except StopIteration as stop:
            return pulses, stop.value


def state_sha256(state: TrainState) -> str:
    """One hash of everything that training changes: tensors, generators, optimisers, position and ledger."""
    plain = repr((state.loss_count, state.cursor, state.ledger, sorted(state.optimizers)))
    return hashlib.sha256(hash_tensors(state_tensors(state)).encode() + plain.encode()).hexdigest()


def use_tiny_data(monkeypatch: pytest.MonkeyPatch, num_train: int = 24) -> None:
    """Give runs and evaluations the tiny images, and let a run tell of every single tick."""

    def steps(*_: object) -> Generator[Pulse, None, Dataset]:
        yield Pulse("drawing tiny images")
        return tiny_data(num_train)

    monkeypatch.setattr("claf_engine.training.opening.dataset_steps", steps)
    monkeypatch.setattr("claf_engine.evaluation.subject.dataset_steps", steps)
    monkeypatch.setattr("claf_engine.training.conductor.PROGRESS_SECONDS", 0.0)


def all_of(*reactions: React) -> React:
    """Several reactions to one event, in this order."""

    def react(event: ev.Event, control: Control) -> None:
        for one in reactions:
            one(event, control)

    return react


def play(directory: RunDirectory, react: React | None = None) -> list[ev.Event]:
    """Train in a run directory to the end and let go of it; `react` steers, called with each event as it comes."""
    control, seen = Control(), []
    try:
        for event in run(directory, control):
            seen.append(event)
            if react is not None:
                react(event, control)
    finally:
        directory.close()
    return seen


def finished_run(root: Path, config: RunConfig) -> RunDirectory:
    """A whole run on the tiny data, for a fixture that lives longer than one test."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_data(monkeypatch)
        directory = create_run(root, "tiny", config, [])
        play(directory)
    return directory


def without_clock(events: list[ev.Event], *kinds: type[Any]) -> list[ev.Event]:
    """The events of some kinds, without what depends on the clock: two equal runs give equal lists."""
    clocks = {"elapsed": 0.0, "seconds": 0.0, "images_per_second": None}
    return [_stopped(event, clocks) for event in events if isinstance(event, kinds)]


def _stopped(event: Any, clocks: dict[str, Any]) -> Any:
    names = {field.name for field in dataclasses.fields(event)}
    return dataclasses.replace(event, **{name: value for name, value in clocks.items() if name in names})
