"""What a comparison, and a report, know of one run: settings, figures with intervals, cost, card. No torch, no Textual.

Everything but the journal is read from files as others may have written them; what cannot be read is left out and told.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from claf_engine.accuracy.intervals import wilson
from claf_engine.events import RobustFigure, TestResult
from claf_engine.events.records import build
from claf_engine.runs import read_config, summarise, to_plain
from claf_engine.runs.folder import flat_settings, read_begun
from claf_engine.runs.foreign import read_toml
from claf_engine.runs.header import CheckpointInfo
from claf_engine.runs.listing import CheckpointEntry, list_checkpoints
from claf_engine.runs.order import newest_first
from claf_engine.terms.errors import ForeignFileError, RunError
from claf_tui.state.other_run import short_name
from claf_tui.state.outcome import BestEpoch, best_epoch, measured_checkpoint, selected_result
from claf_tui.state.run_state import PhaseState, RunState
from claf_tui.state.standings import UNAUDITED, card_of
from claf_tui.words.safe_text import safe

Split = Literal["test", "validation"]
MAX_LABEL = 32


@dataclass(frozen=True)
class Accuracy:
    """A share of images, with the bounds between which it lies with 95 % confidence (Wilson); all in [0, 1].

    `low` and `high` are None where the number of images is not known.
    """

    share: float
    num_examples: int
    low: float | None
    high: float | None

    @classmethod
    def of(cls, share: float, num_examples: int) -> "Accuracy":
        """With its interval, where there are images to take it from."""
        if num_examples < 1 or not 0 <= share <= 1:
            return cls(share, max(0, num_examples), None, None)
        return cls(share, num_examples, *wilson(round(share * num_examples), num_examples))

    @property
    def num_right(self) -> int:
        """Images that were classified correctly."""
        return round(self.share * self.num_examples)


@dataclass(frozen=True)
class Measured:
    """The figures that a run stands for: those of its selected result, or of its latest probe.

    Attributes:
        split: which images were measured: of a run that goes on, validation images.
        natural: without an attack.
        robust: one figure for each radius.
        checkpoint: which of its states: "best", "last"; empty for a probe.
        weights_sha256: of the network; empty where that is not told.
    """

    split: Split
    natural: Accuracy
    robust: tuple[RobustFigure, ...]
    classifier: str
    checkpoint: str = ""
    weights_sha256: str = ""


@dataclass(frozen=True)
class ComparedRun:
    """One run among several.

    Attributes:
        key: the letter that stands for it: "A".
        name: of its folder, cleaned; `label` is shorter.
        status: see `RunSummary`.
        begun: seconds since the epoch; 0 where nothing tells.
        method, data: as its settings say, cleaned.
        settings: every setting under its whole name; None where they cannot be read.
        measured: its figures; None before the first.
        best: the checkpoint that was best on validation images.
        steps: optimiser steps taken; `epochs` of all phases together that were finished.
        seconds: spent, pauses left out.
        units: forward passes that training has spent on each image; None where that is not known.
        epoch_units: the same for an epoch of each phase; empty where that is not known.
        standing: what the figures rest on, such as "audit passes".
        card: the card of the measured classifier, as JSON.
        images: SHA-256 of the images of each split, as far as it is told.
        begun_with: what run.json says of how it was begun.
        notices: sentences on what of it could not be read.
    """

    key: str
    name: str
    label: str
    directory: Path
    status: str
    begun: float
    method: str
    data: str
    state: RunState = field(repr=False)
    settings: Mapping[str, Any] | None = None
    measured: Measured | None = None
    best: BestEpoch | None = None
    steps: int = 0
    epochs: int = 0
    seconds: float = 0.0
    units: float | None = None
    epoch_units: tuple[float, ...] = ()
    standing: str = UNAUDITED
    card: Mapping[str, Any] | None = field(default=None, repr=False)
    images: Mapping[str, str] = field(default_factory=dict, repr=False)
    begun_with: Mapping[str, Any] = field(default_factory=dict, repr=False)
    notices: tuple[str, ...] = ()

    @property
    def is_live(self) -> bool:
        """Whether a process trains it."""
        return self.status in ("starting", "running", "paused", "stopping")


def read_compared(key: str, directory: Path, state: RunState, epoch_units: tuple[float, ...] = ()) -> ComparedRun:
    """Look up what the folder of a run tells beside its journal.

    Args:
        key: the letter that is to stand for it.
        directory: of the run.
        state: what its journal tells.
        epoch_units: forward-units an image that an epoch of each phase costs, where they are known.
    """
    summary = summarise(directory)
    record, begun_with = summary.record, read_begun(directory)
    settings, unread = _settings(directory)
    entries, unlisted = _entries(directory)
    results = _results(record) or (state.finished.results if state.finished is not None else ())
    selected = selected_result(results)
    measured = _of_result(selected) if selected is not None else _of_probe(record, state)
    card = _card(measured, selected, entries)
    return with_state(
        ComparedRun(
            key=key,
            name=safe(directory.name, 100),
            label=short_name(directory.name, MAX_LABEL),
            directory=directory,
            status=safe(summary.status, 20),
            begun=newest_first([directory], lambda _: record)[0].begun,
            method=_told(settings, "method", record.get("method")),
            data=_told(settings, "data.source", record.get("data")),
            state=state,
            settings=settings,
            measured=measured,
            best=best_epoch(entries),
            standing=UNAUDITED if card is None else _standing(card),
            card=card,
            images=_images_of(begun_with),
            epoch_units=epoch_units,
            begun_with=begun_with,
            notices=tuple(safe(text, 400) for text in (summary.notice, unread, unlisted) if text),
            steps=_count(record.get("step")),
            seconds=_number(record.get("elapsed")),
        ),
        state,
    )


def with_state(run: ComparedRun, state: RunState) -> ComparedRun:
    """The same run, as far as its journal tells by now."""
    trained = trained_phases(state)
    has_units = bool(run.epoch_units) and len(run.epoch_units) == len(trained)
    pairs = zip(trained, run.epoch_units, strict=False)
    units = sum(phase.num_finished * each for phase, each in pairs) if has_units else None
    measured = run.measured
    if measured is None or measured.split == "validation":
        measured = _of_state(state) or measured
    return replace(
        run,
        state=state,
        measured=measured,
        steps=max(run.steps, state.step),
        epochs=sum(phase.num_finished for phase in trained),
        seconds=max(run.seconds, state.elapsed),
        units=units,
    )


def trained_phases(state: RunState) -> tuple[PhaseState, ...]:
    """The phases of a run that train; what measures at its end is one without epochs."""
    return tuple(phase for phase in state.phases if phase.plan.epochs > 0)


def with_labels(runs: Sequence[ComparedRun]) -> list[ComparedRun]:
    """The same runs; those that are called alike get the time of day of their folders too, or else its whole name."""
    labels = [short_name(run.directory.name, MAX_LABEL) for run in runs]
    for longer in (_timed, lambda run: run.name):
        counts = Counter(labels)
        labels = [longer(run) if counts[label] > 1 else label for run, label in zip(runs, labels, strict=True)]
    return [replace(run, label=safe(label, MAX_LABEL)) for run, label in zip(runs, labels, strict=True)]


def _timed(run: ComparedRun) -> str:
    """What a run was called, after the time of day in the name of its folder, which no cut takes away."""
    parts = run.name.split("-", 2)
    return f"{parts[1]} {parts[2]}" if len(parts) == 3 and parts[1].isdigit() else run.name


def _settings(directory: Path) -> tuple[Mapping[str, Any] | None, str]:
    """The settings with all defaults; where they need a plugin that is not loaded, as the file has them."""
    try:
        return dict(flat_settings(to_plain(read_config(directory)))), ""
    except RunError as error:
        reason = str(error)
    try:
        return dict(flat_settings(read_toml(directory / "config.toml"))), reason
    except ForeignFileError:
        return None, reason


def _entries(directory: Path) -> tuple[list[CheckpointEntry], str]:
    try:
        return list_checkpoints(directory), ""
    except RunError as error:
        return [], str(error)


def _results(record: Mapping[str, Any]) -> tuple[TestResult, ...]:
    try:
        return tuple(build(TestResult, result) for result in record.get("results") or ())
    except ValueError:
        return ()


def _of_result(result: TestResult) -> Measured:
    count = _images(result.robust)
    return Measured(
        "test",
        Accuracy.of(result.natural, count),
        result.robust,
        safe(result.classifier, 20),
        safe(result.checkpoint, 20),
        result.weights_sha256,
    )


def _of_state(state: RunState) -> Measured | None:
    if (probe := state.probe) is None:
        return None
    return Measured(
        "validation", Accuracy.of(probe.natural, _images(probe.robust)), probe.robust, safe(probe.classifier, 20)
    )


def _of_probe(record: Mapping[str, Any], state: RunState) -> Measured | None:
    """Figures of the latest probe: of the journal, or where that is lost, of the status."""
    if (measured := _of_state(state)) is not None:
        return measured
    probe = record.get("probe")
    if not isinstance(probe, Mapping) or not isinstance(probe.get("natural"), float):
        return None
    try:
        robust = tuple(build(RobustFigure, item) for item in probe["robust"])
    except ValueError:
        return None
    return Measured(
        "validation", Accuracy.of(probe["natural"], _images(robust)), robust, safe(probe.get("classifier", ""), 20)
    )


def _images(robust: tuple[RobustFigure, ...]) -> int:
    """How many images natural accuracy was measured on: as many as each attack, where those agree."""
    counts = {figure.num_examples for figure in robust}
    return counts.pop() if len(counts) == 1 else 0


def _card(
    measured: Measured | None, selected: TestResult | None, entries: list[CheckpointEntry]
) -> Mapping[str, Any] | None:
    """The card of what was measured; before a result that of the best checkpoint, if it has one."""
    if measured is None:
        return None
    info: CheckpointInfo | None
    if selected is not None:
        info = measured_checkpoint(selected, entries)
    else:
        info = next((entry.info for entry in entries if "best" in entry.kept_as), None)
    return None if info is None else card_of(info, (measured.classifier,))


def _standing(card: Mapping[str, Any]) -> str:
    from claf_engine.evaluation.cards import standing

    return standing(card)


def _images_of(begun_with: Mapping[str, Any]) -> dict[str, str]:
    """The hash of each split that run.json tells."""
    data = begun_with.get("data")
    splits = data.get("splits") if isinstance(data, Mapping) else None
    found = splits.items() if isinstance(splits, Mapping) else ()
    return {name: safe(part.get("sha256", ""), 64) for name, part in found if isinstance(part, Mapping)}


def _told(settings: Mapping[str, Any] | None, name: str, otherwise: object) -> str:
    value = (settings or {}).get(name, otherwise)
    return "" if value is None else safe(value, 60)


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else 0.0
