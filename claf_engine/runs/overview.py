"""What a list shows of one run: how it stands, its figures, its probes, what a person wrote about it. No torch."""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from claf_engine.runs.foreign import STATUS_CAP, read_toml
from claf_engine.runs.header import step_in_name
from claf_engine.runs.journal import METRICS
from claf_engine.runs.labels import LABELS, NO_LABELS, Labels, read_labels
from claf_engine.runs.listing import GOING_ON, holder, lock_of
from claf_engine.runs.order import begun_at
from claf_engine.runs.probe_history import ListedFigure, ProbeHistory, first_figure
from claf_engine.runs.status import read_status
from claf_engine.terms.errors import ForeignFileError

INTERRUPTED = "interrupted"
SILENT_SECONDS = 60.0
"""Since its last sign of life, after which a run whose lock does not tell from here has no process."""
LOOKED_AT = ("status.json", "run.json", LABELS)
"""Files of a run that decide what a list shows of it, besides its journal."""
TEXT = 200
"""Characters of a text that a list keeps; others may have written it."""
MAX_STEP = 2**53

Stamp = tuple[int, int, int]
"""When a file was changed in nanoseconds, its bytes, its inode; zeros where there is none."""


@dataclass(frozen=True)
class Result:
    """The figures that a run's status tells of: those of its selected test result, or of its latest probe."""

    natural: float | None
    robust: ListedFigure | None
    images: str


@dataclass(frozen=True)
class Digest:
    """What was read of a run's folder, so that it need not be read again while the stamps are the same.

    Attributes:
        stamps: of `LOOKED_AT`.
        journal: stamp of the journal up to which `probes` were read.
        said: the status that the run says of itself.
        begun: seconds since the epoch, like `heartbeat` and `heard`; 0 where nothing tells.
        heard: when somebody here saw its status change, by this machine's clock; that of another may be wrong.
        fraction: of the run, in [0, 1], or None.
        remaining: seconds, or None.
        pause_unit, pause_count: see `claf_engine.events.Progressed`.
        notice: what cannot be read.
    """

    stamps: tuple[Stamp, ...]
    said: str = "starting"
    method: str = ""
    data: str = ""
    phase: str = ""
    epoch: int = 0
    step: int = 0
    fraction: float | None = None
    remaining: float | None = None
    pause_unit: str = ""
    pause_count: int = 0
    begun: float = 0.0
    heartbeat: float = 0.0
    heard: float = 0.0
    reason: str = ""
    result: Result | None = None
    labels: Labels = NO_LABELS
    notice: str = ""
    journal: Stamp = (0, 0, 0)
    probes: ProbeHistory = ProbeHistory()


@dataclass(frozen=True)
class Overview:
    """One run in a list.

    Attributes:
        status: as it says itself, or "interrupted" where its process is gone.
        newest: step of its newest checkpoint; only of an interrupted run, and None where it has none.
    """

    name: str
    directory: Path
    status: str
    digest: Digest
    newest: int | None = None

    @property
    def is_live(self) -> bool:
        """Whether a process trains in it."""
        return self.status in GOING_ON

    @property
    def measured(self) -> Result:
        """Its figures: of the selected test result, or else of its best probe."""
        result, best = self.digest.result, self.digest.probes.latest
        if best is not None and (result is None or result.images != TEST):
            return Result(best.natural, best.best, VALIDATION)
        return result or NOT_MEASURED

    @property
    def robust(self) -> float | None:
        """Robust accuracy in [0, 1], if it is known."""
        figure = self.measured.robust
        return None if figure is None else figure.accuracy

    @property
    def trend(self) -> tuple[float, ...]:
        """Robust accuracies of its probes, oldest first."""
        latest = self.digest.probes.latest
        return () if latest is None else latest.values


TEST, VALIDATION = "test", "validation"
NOT_MEASURED = Result(None, None, "")


def stamp_of(path: str) -> Stamp:
    """How a file is told from an earlier one."""
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


def stamps_of(run: str) -> tuple[Stamp, ...]:
    """The stamps of what decides how a run is listed."""
    return tuple(stamp_of(f"{run}/{name}") for name in LOOKED_AT)


def journal_stamp(run: str) -> Stamp:
    """The stamp of a run's journal of figures."""
    return stamp_of(f"{run}/{METRICS}")


def digest_of(run: Path, before: Digest | None = None) -> Digest:
    """Read what a list shows of a run; what is known of its journal stays.

    The stamps are taken first: a file that changes meanwhile is read again at the next look.
    """
    stamps = stamps_of(str(run))
    record, notice = read_status(f"{run}/status.json")
    labels, unread = read_labels(run)
    method, data = _planned(run) if "method" not in record else (record["method"], record.get("data", ""))
    is_news = before is not None and stamps[0] != before.stamps[0]
    digest = Digest(
        stamps,
        heard=time.time() if is_news else 0.0 if before is None else before.heard,
        said=str(record.get("status", "starting"))[:TEXT],
        method=str(method)[:TEXT],
        data=str(data)[:TEXT],
        phase=str(record.get("phase_title", ""))[:TEXT],
        epoch=_count(record.get("epoch")),
        step=_count(record.get("step")),
        fraction=_fraction(record.get("run_fraction")),
        remaining=record.get("run_remaining"),
        pause_unit=str(record.get("pause_unit", ""))[:TEXT],
        pause_count=_count(record.get("pause_count")),
        begun=begun_at(run),
        heartbeat=float(record.get("heartbeat", 0)),
        reason=str(record.get("reason", ""))[:TEXT],
        result=_result_of(record),
        labels=labels,
        notice=(notice or unread)[: 2 * TEXT],
    )
    return digest if before is None else replace(digest, journal=before.journal, probes=before.probes)


def overview_of(run: Path, digest: Digest) -> Overview:
    """How a run stands now; only whether its process is still there is looked at."""
    if digest.said not in GOING_ON or has_process(run, digest):
        return Overview(run.name, run, digest.said, digest)
    return Overview(run.name, run, INTERRUPTED, digest, newest_step(run))


def has_process(run: Path, digest: Digest) -> bool:
    """Whether a process trains in a run that says so: by its lock, and by its last sign of life where that is far."""
    lock = lock_of(run)
    if lock == "held":
        return True
    is_fresh = time.time() - last_sign(digest, time.time()) < SILENT_SECONDS
    # The lock of another machine is not seen through every file system, and not everybody may look at it.
    return is_fresh and (lock == "unknown" or holder(run).host not in (None, socket.gethostname()))


def last_sign(digest: Digest, now: float) -> float:
    """When the process of a run gave its last sign of life, in seconds since the epoch; 0 where it gave none.

    Args:
        digest: of the run; a heartbeat from the future is one of a wrong clock.
        now: seconds since the epoch.
    """
    told = digest.heartbeat if digest.heartbeat < now + SILENT_SECONDS else 0.0
    return max(told, digest.heard)


def seconds_silent(digest: Digest, now: float) -> float:
    """Seconds since the last sign of life; 0 where there was none yet."""
    last = last_sign(digest, now)
    return max(0.0, now - last) if last else 0.0


def newest_step(run: Path) -> int | None:
    """The largest step among the names of a run's checkpoints; None where there is none."""
    try:
        names = os.listdir(run / "checkpoints")
    except OSError:
        return None
    steps = (step_in_name(name) for name in names if name.startswith("step-") and name.endswith(".safetensors"))
    return max((step for step in steps if step is not None), default=None)


def _planned(run: Path) -> tuple[Any, Any]:
    """Method and data of a run that has not written them into its status yet."""
    try:
        settings = read_toml(run / "config.toml", STATUS_CAP)
    except ForeignFileError:
        return "", ""
    data = settings.get("data")
    return settings.get("method", ""), data.get("source", "") if isinstance(data, Mapping) else ""


def _result_of(record: Mapping[str, Any]) -> Result | None:
    selected = next((result for result in record.get("results") or () if result.get("selected")), None)
    measured, images = (selected, TEST) if selected else (record.get("probe"), VALIDATION)
    if not measured:
        return None
    return Result(measured.get("natural"), first_figure(measured), images)


def _count(value: Any) -> int:
    return min(max(0, value), MAX_STEP) if isinstance(value, int) else 0


def _fraction(value: Any) -> float | None:
    return min(1.0, max(0.0, float(value))) if isinstance(value, int | float) else None
