"""Events: the only language spoken between engine and console.

Frozen dataclasses of plain values (never tensors). `to_record` and `from_record` turn them into and out of JSON
objects; the field `type` names the class. A number that is not finite is written as null, because JSON has no NaN.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

RunStatus = Literal["running", "finished", "stopped", "failed"]
NoticeLevel = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class RobustFigure:
    """Accuracy under one attack, with what a reader needs to repeat it.

    `epsilon` and `step_size` are pixel distances such as "8/255"; `accuracy` is a fraction in [0, 1] of `num_examples`.
    """

    epsilon: str
    accuracy: float
    attack: str
    steps: int
    step_size: str
    restarts: int
    num_examples: int
    space: str = "pixel"
    precision: str = "fp32"
    seed: int = 0


@dataclass(frozen=True)
class PhasePlan:
    """One phase as the run intends it: its title, its epochs and its optimiser steps in all."""

    name: str
    title: str
    epochs: int
    steps: int


@dataclass(frozen=True)
class RunStarted:
    """The run is set up and about to train, or to go on training after a resume."""

    run: str
    directory: str
    method: str
    data: str
    class_names: tuple[str, ...]
    num_train: int
    num_validation: int
    num_test: int
    device: str
    precision: str
    threads: int
    num_parameters: int
    seed: int
    phases: tuple[PhasePlan, ...]
    config: Mapping[str, Any]
    resumed_from_step: int | None = None


@dataclass(frozen=True)
class PhaseStarted:
    """A phase begins (or goes on, after a resume); `phase` indexes `RunStarted.phases`."""

    phase: int
    name: str
    epoch: int


@dataclass(frozen=True)
class Progressed:
    """Where the run is now. Sent a few times a second, never written to disk.

    Fractions lie in [0, 1]; times are seconds and leave pauses out; an estimate that is not known yet is None.
    """

    phase: int
    epoch: int
    epochs: int
    activity: str
    activity_fraction: float
    phase_fraction: float
    run_fraction: float
    elapsed: float
    phase_elapsed: float
    phase_remaining: float | None
    run_remaining: float | None
    images_per_second: float | None
    memory_bytes: int
    step: int


@dataclass(frozen=True)
class StepLogged:
    """Training figures of one optimiser step, sent every `runtime.log_every` steps.

    `loss_name` is "supcon", "classifier" or "cross_entropy"; `step` counts the optimiser steps of the whole run.
    """

    step: int
    phase: int
    epoch: int
    part: str
    loss_name: str
    loss: float
    learning_rate: float
    images_per_second: float | None
    elapsed: float


@dataclass(frozen=True)
class EpochFinished:
    """One epoch of a phase is done; `epoch` counts from 1, `seconds` leave pauses out."""

    step: int
    phase: int
    epoch: int
    seconds: float
    mean_loss: float


@dataclass(frozen=True)
class ClassifierRetrained:
    """Accuracy of the attack classifier on adversarial examples, before and after one retraining (paper, section 3)."""

    step: int
    epoch: int
    before: float
    after: float
    num_examples: int


@dataclass(frozen=True)
class DissociationMeasured:
    """How far one encoder epoch moved the features away from the classifier that was fitted to them.

    `fitted` is the adversarial accuracy of the retrained classifier on the encoder it was fitted to, `moved` on the
    encoder after its next epoch, and `dissociation` is `fitted - moved`.
    """

    step: int
    epoch: int
    fitted: float
    moved: float
    dissociation: float
    num_examples: int


@dataclass(frozen=True)
class ProbeFinished:
    """Natural and robust accuracy on the fixed validation subset; `classifier` names the one that was asked."""

    step: int
    phase: int
    epoch: int
    classifier: str
    natural: float
    robust: tuple[RobustFigure, ...]
    seconds: float
    requested: bool = False


@dataclass(frozen=True)
class CheckpointSaved:
    """A checkpoint is on disk and durable; `kept_as` says why it is kept ("last", "best", "requested", "final")."""

    step: int
    phase: int
    path: str
    num_bytes: int
    kept_as: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class ControlChanged:
    """The run paused, went on, or was asked to stop; `waited` are the seconds a pause lasted."""

    step: int
    status: Literal["paused", "resumed", "stopping"]
    waited: float = 0.0


@dataclass(frozen=True)
class ValueEdited:
    """A live edit took effect from this step on."""

    step: int
    name: str
    old: float
    new: float


@dataclass(frozen=True)
class Notice:
    """Something a person should know: what was skipped, shrunk, retried, refused or repaired."""

    level: NoticeLevel
    text: str
    step: int = 0


@dataclass(frozen=True)
class TestResult:
    """Accuracy on the test split of one classifier of one checkpoint."""

    __test__ = False  # pytest: not a test class

    checkpoint: str
    classifier: str
    natural: float
    robust: tuple[RobustFigure, ...]
    selected: bool


@dataclass(frozen=True)
class RunFinished:
    """The run left: finished (with test results), stopped by a person, or failed (with the reason)."""

    status: RunStatus
    step: int
    elapsed: float
    results: tuple[TestResult, ...] = ()
    selected_on: str = ""
    reason: str = ""
    checkpoint: str | None = None


Event = (
    RunStarted
    | PhaseStarted
    | Progressed
    | StepLogged
    | EpochFinished
    | ClassifierRetrained
    | DissociationMeasured
    | ProbeFinished
    | CheckpointSaved
    | ControlChanged
    | ValueEdited
    | Notice
    | RunFinished
)

_CLASSES: dict[str, type[Any]] = {cls.__name__: cls for cls in Event.__args__}
_NESTED: dict[tuple[type[Any], str], type[Any]] = {
    (RunStarted, "phases"): PhasePlan,
    (ProbeFinished, "robust"): RobustFigure,
    (RunFinished, "results"): TestResult,
    (TestResult, "robust"): RobustFigure,
}


def to_record(event: Event) -> dict[str, Any]:
    """Turn an event into a JSON object; numbers that are not finite become null."""
    return {"type": type(event).__name__, **_finite(asdict(event))}


def from_record(record: Mapping[str, Any]) -> Event:
    """Turn a JSON object written by `to_record` back into its event; unknown extra keys are ignored.

    Raises:
        ValueError: the type is unknown, or a field is missing.
    """
    cls = _CLASSES.get(str(record.get("type")))
    if cls is None:
        raise ValueError(f"unknown event type {record.get('type')!r}")
    event: Event = _build(cls, record)
    return event


def _build(cls: type[Any], record: Mapping[str, Any]) -> Any:
    values: dict[str, Any] = {}
    for spec in fields(cls):
        if spec.name not in record:
            continue
        value = record[spec.name]
        nested = _NESTED.get((cls, spec.name))
        if nested is not None:
            if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
                raise ValueError(f"field {spec.name} of a {cls.__name__} record is no list of objects")
            value = tuple(_build(nested, item) for item in value)
        elif isinstance(value, list):
            value = tuple(value)
        elif value is None and spec.type is float:
            value = math.nan
        values[spec.name] = value
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"a {cls.__name__} record lacks a field: {error}") from error


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
