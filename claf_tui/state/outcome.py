"""What an ended run is to be judged by: its best epoch, the file its result measured, and the run before it. No torch.

Everything is read from files, which takes a moment: whoever shows it looks it up in a thread.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from claf_engine.accuracy.intervals import difference_interval
from claf_engine.events import RobustFigure, RunFinished, TestResult
from claf_engine.events.records import build
from claf_engine.runs import list_checkpoints, run_names, summarise
from claf_engine.runs.header import CheckpointInfo
from claf_engine.runs.listing import CheckpointEntry
from claf_engine.terms.errors import RunError
from claf_tui.state.standings import standing_of_results
from claf_tui.words import attack_words
from claf_tui.words.attack_words import LINF, PIXEL

MAX_EARLIER = 200
"""Earlier runs that are looked at."""
SILENT = ("runtime.", "checkpoint.")
"""Settings that change neither what is trained nor what is measured."""
RECIPE = ("epsilon", "norm", "space", "decides", "defence", "knowledge")
"""What two robust figures must share to be compared; steps and restarts are settings, and differences of those told."""


@dataclass(frozen=True)
class BestEpoch:
    """The checkpoint with the highest figure on validation images.

    Attributes:
        epoch: of its phase.
        robust: in [0, 1], on validation images.
        radius: that it was probed at, such as "8/255"; empty where that is unknown.
        is_stronger: the figure is that of the stronger attack which checkpoints are chosen by.
    """

    step: int
    epoch: int
    phase: str
    classifier: str
    robust: float
    radius: str
    is_stronger: bool = False


@dataclass(frozen=True)
class Earlier:
    """The selected result beside that of an earlier run.

    Attributes:
        run: name of the earlier run's folder.
        radius: such as "8/255".
        difference: of the robust accuracies, ours minus theirs.
        interval: of it, with 95 % confidence, as if the images were drawn anew for each run.
        changes: settings that differ, in words; None where the earlier ones cannot be read.
    """

    run: str
    radius: str
    difference: float
    interval: tuple[float, float]
    changes: tuple[str, ...] | None

    @property
    def is_noise(self) -> bool:
        """Whether the interval holds no difference at all."""
        low, high = self.interval
        return low <= 0 <= high


@dataclass(frozen=True)
class Outcome:
    """What is known of an ended run beyond its last event; nothing before it was looked up.

    Attributes:
        standing: what its results rest on, such as "unaudited".
        checkpoint: the file that the selected result measured.
    """

    standing: str = ""
    checkpoint: CheckpointInfo | None = None
    best: BestEpoch | None = None
    earlier: Earlier | None = None


def look_up(directory: Path, finished: RunFinished) -> Outcome:
    """Read what the folders of the run and of those before it tell of its end; what cannot be read is left out."""
    selected = selected_result(finished.results)
    entries = _entries(directory)
    return Outcome(
        standing_of_results(str(directory), finished),
        None if selected is None else measured_checkpoint(selected, entries),
        best_epoch(entries),
        None if selected is None else earlier_result(directory, selected),
    )


def selected_result(results: Sequence[TestResult]) -> TestResult | None:
    """The result that the run stands for."""
    return next((result for result in results if result.selected), None)


def audited_epsilon(selected: TestResult) -> str | None:
    """The radius that an audit of a result is to be about; None where the command's own choice has to do."""
    return next((item.epsilon for item in selected.robust if item.norm == LINF and "/" in item.epsilon), None)


def measured_checkpoint(selected: TestResult, entries: Sequence[CheckpointEntry]) -> CheckpointInfo | None:
    """The file that a result measured: the one of its weights, or for results of earlier code that of its name."""
    readable = [entry for entry in entries if entry.info is not None]
    if selected.weights_sha256:
        infos = (entry.info for entry in readable)
        return next((info for info in infos if info and info.weights_sha256 == selected.weights_sha256), None)
    return next((entry.info for entry in readable if selected.checkpoint in entry.kept_as), None)


def best_epoch(entries: Sequence[CheckpointEntry]) -> BestEpoch | None:
    """The best checkpoint of a run, if one was measured."""
    info = next((entry.info for entry in entries if "best" in entry.kept_as), None)
    if info is None or info.chosen_by is None:
        return None
    told = info.step, info.epoch, info.phase, info.classifier, info.chosen_by, probed_radius(info)
    return BestEpoch(*told, is_stronger="validation_selection" in info.metrics)


def probed_radius(info: CheckpointInfo) -> str:
    """The radius of the robust accuracy in a checkpoint's header, with its norm; empty where it does not say."""
    probe = _first_probe(info)
    if probe is None:
        return ""
    return attack_words.radius_text(probe["epsilon"], probe["norm"], PIXEL, attack_words.LAST, probed_notice(info))


def probed_notice(info: CheckpointInfo) -> str:
    """Why the robust accuracy in a checkpoint's header cannot be right; empty where nothing is known."""
    probe = _first_probe(info)
    return "" if probe is None else attack_words.notice_of({**probe, "attack": "pgd"})


def _first_probe(info: CheckpointInfo) -> dict[str, Any] | None:
    """The attack of the robust accuracy in a checkpoint's header: that of its probes, at their first radius."""
    config = info.metadata.get("claf.config")
    probe = config.get("probe") if isinstance(config, Mapping) else None
    epsilons = probe.get("epsilons") if isinstance(probe, Mapping) else None
    if not isinstance(probe, Mapping) or not isinstance(epsilons, list) or not epsilons:
        return None
    steps = {name: probe.get(name) for name in ("steps", "step_size")}
    return {"epsilon": epsilons[0], "norm": probe.get("norm", LINF), **steps}


def earlier_result(directory: Path, selected: TestResult) -> Earlier | None:
    """Compare a result with that of the latest finished run before it, of the same method and data."""
    own = summarise(directory).record
    for run, record in _finished_before(directory):
        if any(record.get(key) != own.get(key) for key in ("method", "data")):
            continue
        theirs = selected_result(_results(record))
        shared = None if theirs is None else _shared_figure(selected, theirs)
        if shared is None:
            continue
        mine, other = shared
        return Earlier(
            run.name,
            attack_words.radius(replace(mine, notice=mine.notice or other.notice)),
            mine.accuracy - other.accuracy,
            difference_interval(*_counted(mine), *_counted(other)),
            _changes(run, directory),
        )
    return None


def _finished_before(directory: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Finished runs that were begun before this one, the latest first, with what their status says."""
    try:
        names = run_names(directory.parent)
    except RunError:
        return
    after = names.index(directory.name) + 1 if directory.name in names else len(names)
    for name in names[after : after + MAX_EARLIER]:
        summary = summarise(directory.parent / name)
        if summary.status == "finished":
            yield summary.directory, summary.record


def _results(record: Mapping[str, Any]) -> list[TestResult]:
    """The results in a status; none where another program wrote them."""
    try:
        return [build(TestResult, result) for result in record.get("results", ())]
    except ValueError:
        return []


def _shared_figure(mine: TestResult, other: TestResult) -> tuple[RobustFigure, RobustFigure] | None:
    """The first robust figure that both have, of the same attack space."""
    for figure in mine.robust:
        for theirs in other.robust:
            if all(getattr(figure, name) == getattr(theirs, name) for name in RECIPE):
                return (figure, theirs) if figure.num_examples > 0 and theirs.num_examples > 0 else None
    return None


def _counted(figure: RobustFigure) -> tuple[int, int]:
    return round(min(1.0, max(0.0, figure.accuracy)) * figure.num_examples), figure.num_examples


def _changes(before: Path, now: Path) -> tuple[str, ...] | None:
    # They load what checks settings, which a list of runs, that asks this module as well, has no use for.
    from claf_engine.runs import read_config, to_plain
    from claf_engine.runs.trained import differences

    try:
        told = differences(to_plain(read_config(before)), to_plain(read_config(now)))
    except RunError:
        return None
    return tuple(words for key, words in told.items() if not key.startswith(SILENT))


def _entries(directory: Path) -> list[CheckpointEntry]:
    try:
        return list_checkpoints(directory)
    except RunError:
        return []
