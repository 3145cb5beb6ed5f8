"""Events: the only language spoken between engine and console.

Frozen dataclasses of plain values (never tensors); `records` turns them into and out of JSON objects.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from claf_engine.events.audit import AuditFinished, AuditStarted, DiagnosticFound, PlannedCheck, Verdict
from claf_engine.events.figures import PhasePlan, RobustFigure, TestResult
from claf_engine.events.reproduction import ReproductionChanged, ReproductionRow, RowStatus
from claf_engine.events.sentinels import Alert, AlertEnded, SentinelsChecked

__all__ = [
    "Alert",
    "AlertEnded",
    "AuditFinished",
    "AuditStarted",
    "CheckpointSaved",
    "ClassifierRetrained",
    "ControlChanged",
    "DiagnosticFound",
    "DissociationMeasured",
    "EpochFinished",
    "Event",
    "Notice",
    "NoticeLevel",
    "OverfittingChecked",
    "PhasePlan",
    "PhaseStarted",
    "PlannedCheck",
    "ProbeFinished",
    "Progressed",
    "ReproductionChanged",
    "ReproductionRow",
    "RequestServed",
    "RobustFigure",
    "RowStatus",
    "RunFinished",
    "RunStarted",
    "RunStatus",
    "SentinelsChecked",
    "StepLogged",
    "TestResult",
    "ThreadsChanged",
    "ValueEdited",
    "Verdict",
]

RunStatus = Literal["running", "finished", "stopped", "failed", "diverged"]
NoticeLevel = Literal["info", "warning", "error"]


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
    layout: str = "channels_last"


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
    `waited` is the share of the last seconds in which this process waited for cores that others use, or None.
    `pause_unit` and `pause_count` are those of `claf_engine.events.control.Later`, where a pause is to come.
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
    waited: float | None = None
    pause_unit: str = ""
    pause_count: int = 0

    @classmethod
    def of_activity(cls, activity: str, fraction: float) -> Self:
        """Progress of work outside the phases of a run: only what is being done is known, and how far that is."""
        return cls(
            phase=0,
            epoch=0,
            epochs=0,
            activity=activity,
            activity_fraction=fraction,
            phase_fraction=0.0,
            run_fraction=0.0,
            elapsed=0.0,
            phase_elapsed=0.0,
            phase_remaining=None,
            run_remaining=None,
            images_per_second=None,
            memory_bytes=0,
            step=0,
        )


@dataclass(frozen=True)
class StepLogged:
    """Training figures of one optimiser step, sent every `runtime.log_every` steps.

    `loss_name` is "supcon", "nt_xent", "classifier", "cross_entropy", "trades" or "alp"; `step` counts the optimiser
    steps of the whole run.
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
class OverfittingChecked:
    """Accuracy under the one-step attack of training and under PGD, at the end of an epoch of fast training.

    `best` is the highest PGD accuracy so far. Catastrophic overfitting is the moment when the one-step attack looks
    harmless while PGD breaks everything (Wong et al. 2020).
    """

    step: int
    epoch: int
    single_step: float
    multi_step: float
    best: float
    num_examples: int
    has_collapsed: bool


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
    """Natural and robust accuracy on the fixed validation subset; `classifier` names the one that was asked.

    `selection` is what checkpoints are chosen by: accuracy at the first radius that also survives a stronger attack.
    """

    step: int
    phase: int
    epoch: int
    classifier: str
    natural: float
    robust: tuple[RobustFigure, ...]
    seconds: float
    requested: bool = False
    selection: float | None = None


@dataclass(frozen=True)
class CheckpointSaved:
    """A checkpoint is on disk and durable; `kept_as` says why it is kept ("last", "best", "requested", "early")."""

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
class RequestServed:
    """A request that came from another process was taken, and was accepted or refused.

    Attributes:
        request: as a person types it, such as "pause" or "set learning_rate=0.05".
        nonce: tells it from every other request; empty where it was none.
        who: asked, by their own account.
        at: when that was, in seconds since the epoch, by the clock of whoever asked.
        answer: what comes of it now, or why it is refused.
    """

    step: int
    request: str
    nonce: str
    who: str
    at: float
    is_accepted: bool
    answer: str


@dataclass(frozen=True)
class ValueEdited:
    """A live edit took effect from this step on.

    Attributes:
        name: the setting, or "learning_rate" of the phase.
        old, new: numbers, or texts such as "8/255, 16/255".
        who: asked for it; empty in records of earlier code.
        at: when, in seconds since the epoch.
    """

    step: int
    name: str
    old: float | str
    new: float | str
    who: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class ThreadsChanged:
    """From this step on other threads compute: the cores are shared with other processes, or not any more.

    What is computed from here on differs in its last bits from what the threads before would have computed.

    Attributes:
        old, new: threads.
        free: cores that this process could have lately: those that it had, and those that nobody used.
    """

    step: int
    old: int
    new: int
    free: float


@dataclass(frozen=True)
class Notice:
    """Something a person should know: what was skipped, shrunk, retried, refused or repaired."""

    level: NoticeLevel
    text: str
    step: int = 0


@dataclass(frozen=True)
class RunFinished:
    """The run left: finished (with test results), stopped by a person, failed or diverged (with the reason).

    Attributes:
        checkpoint: the newest one that can be read; of a diverged run, the newest from before it blew up.
        way_back: of a diverged run, settings to branch off from a checkpoint with, such as
            "supervised.optimizer.learning_rate=0.01".
    """

    status: RunStatus
    step: int
    elapsed: float
    results: tuple[TestResult, ...] = ()
    selected_on: str = ""
    reason: str = ""
    checkpoint: str | None = None
    way_back: tuple[str, ...] = ()

    @property
    def has_failed(self) -> bool:
        """Whether the run broke off by itself."""
        return self.status in ("failed", "diverged")


Event = (
    RunStarted
    | PhaseStarted
    | Progressed
    | StepLogged
    | EpochFinished
    | ClassifierRetrained
    | DissociationMeasured
    | OverfittingChecked
    | ProbeFinished
    | SentinelsChecked
    | Alert
    | AlertEnded
    | CheckpointSaved
    | ControlChanged
    | RequestServed
    | ValueEdited
    | ThreadsChanged
    | Notice
    | ReproductionChanged
    | AuditStarted
    | DiagnosticFound
    | AuditFinished
    | RunFinished
)
